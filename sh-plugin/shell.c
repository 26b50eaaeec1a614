/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the table of shells and the code that they are given. Pure: any thread
 * enters it, and it calls libc only.
 *
 * The code keeps to a few rules. Jobs do not run inside a function, where local
 * and return would mean something else. Subshells are elements of a pipeline:
 * one that is started with & ignores SIGINT for ever. What the code needs of
 * names begins with "nbdlab" and is gone before the script begins. A shell
 * reads a pipe byte by byte, so orders and jobs are short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

/*
 * zsh and ksh run the last element of a pipeline themselves, so there is one
 * more, that only waits. ksh forks for pipelines alone and does not wait for
 * their first elements: its intermediate process has a pipe to the template,
 * which sees the end of file when that process is gone.
 */
struct shell_kind {
    const char *name;
    const char *letters; /* options of set that would harm the template */
    const char *before;  /* of an order */
    const char *after;
    const char *pid;   /* shell code for the id of the process; $$ is the template's */
    const char *start; /* what the template does first */
    const char *reset; /* what a subshell does for what it inherits and a new shell does not have */
    bool needs_seed;   /* or all subshells draw the same random numbers */
};

/* A process has one thread, and so its own id is the only file in that folder. */
#define TASK "/proc/self/task/*"

static const struct shell_kind kinds[] = {
    { "sh", "aefmnuvxCE", "(", ")", TASK, "", "", false },
    { "dash", "aefmnuvxCE", "(", ")", TASK, "", "", false },
    { "bash", "aefmnuvxCE", "(", ")", "$BASHPID", "unset BASH_EXECUTION_STRING\n", "SECONDS=0;",
      false },
    { "ksh", "aefmnuvxC", "{ ", "|sleep 60;}|read nbdlab", TASK, "", "SECONDS=0;", true },
    { "zsh", "aemnuvxCF", "(", "|:)", TASK, "", "SECONDS=0;", true },
};

/* With these it would be interactive, or would not run the code that it is given. */
#define REFUSED_LETTERS "ciDlst"

/* Nothing to any of the shells, wherever they stand in a word. */
#define PLAIN_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,"

static const struct shell_kind *find_kind(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* Splits the argument of a #! line. Returns 0, or -1 if a template cannot have it. */
static int read_flags(const char *argument, struct shell *shell)
{
    if (argument[0] == '-' && argument[1] == '-' && argument[2] != '\0') {
        strcpy(shell->flags, argument);
        return 0;
    }
    if (*argument == '\0' || strcmp(argument, "-") == 0 || strcmp(argument, "--") == 0)
        return 0;
    if (*argument != '-' || argument[strcspn(argument, REFUSED_LETTERS " \to+")] != '\0')
        return -1;
    char *flag = shell->flags;
    char *option = shell->options;
    for (argument++; *argument != '\0'; argument++) {
        char **target = strchr(shell->kind->letters, *argument) != NULL ? &option : &flag;
        if (*target == shell->flags || *target == shell->options)
            *(*target)++ = '-';
        *(*target)++ = *argument;
    }
    return 0;
}

int shell_read_line(const char *line, struct shell *shell)
{
    *shell = (struct shell){ 0 };
    if (strlen(line) >= SHELL_WORD_MAX - 1)
        return -1;
    line += 2 + strspn(line + 2, " \t");
    size_t length = strcspn(line, " \t");
    memcpy(shell->interpreter, line, length);
    line += length + strspn(line + length, " \t");
    char argument[SHELL_WORD_MAX];
    strcpy(argument, line);
    for (size_t end = strlen(argument); end > 0 && strchr(" \t", argument[end - 1]) != NULL;)
        argument[--end] = '\0';
    shell->kind = find_kind(shell->interpreter);
    if (shell->kind != NULL)
        return read_flags(argument, shell);
    const char *slash = strrchr(shell->interpreter, '/');
    if (slash == NULL || strcmp(slash, "/env") != 0)
        return -1;
    strcpy(shell->name, argument);
    shell->kind = find_kind(argument);
    return shell->kind == NULL ? -1 : 0;
}

void shell_set_default(struct shell *shell)
{
    *shell = (struct shell){ .kind = &kinds[0], .interpreter = "/bin/sh" };
}

bool shell_is_same(const struct shell *a, const struct shell *b)
{
    return a->kind == b->kind && strcmp(a->interpreter, b->interpreter) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->flags, b->flags) == 0 &&
           strcmp(a->options, b->options) == 0;
}

/* Puts the word between single quotes. A newline would end the line, so it is "$1". */
static void put_quoted(FILE *stream, const char *word)
{
    fputc('\'', stream);
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", stream);
        else if (*word == '\n')
            fputs("'\"$1\"'", stream);
        else
            fputc(*word, stream);
    fputc('\'', stream);
}

/* The same, where it needs any. */
static void put_word(FILE *stream, const char *word)
{
    if (*word != '\0' && word[strspn(word, PLAIN_BYTES)] == '\0')
        fputs(word, stream);
    else
        put_quoted(stream, word);
}

/* What was written to a stream over *text. Returns it, or NULL. */
static char *take_text(FILE *stream, char **text)
{
    if (fclose(stream) == 0)
        return *text;
    free(*text);
    return NULL;
}

/* Puts what a subshell does until it has its job. Its number is the order's first, plus `more`. */
static void put_subshell(FILE *stream, const struct shell_kind *kind, unsigned more)
{
    fprintf(stream, "%s{ exec", more == 0 ? "" : "|");
    for (int i = 0; i < 3; i++)
        fprintf(stream, " %d%c\"$2/$((nbdlab+%u))%c\"", i, "<>>"[i], more, "ioe"[i]);
    fprintf(stream, "||exit;echo $((nbdlab+%u)) %s >&%d;exec %d>&-;", more, kind->pid,
            SHELL_REPORT_FD, SHELL_REPORT_FD);
    if (kind->needs_seed)
        fprintf(stream, "RANDOM=$(((nbdlab+%u)%%32768));", more);
    fputs("read -r nbdlab||exit;eval \"$nbdlab$3\";}", stream);
}

char *shell_format_loop(const struct shell *shell)
{
    const struct shell_kind *kind = shell->kind;
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);

    if (stream == NULL)
        return NULL;
    fprintf(stream,
            SHELL_LOOP "=%sunset " SHELL_LOOP "\nwhile read -r nbdlab nbdlab_count; do "
                       "case $nbdlab_count in\n",
            kind->start);
    for (unsigned count = 1; count <= SHELL_BATCH_MAX; count *= 2) {
        fprintf(stream, "%u) %s", count, kind->before);
        for (unsigned more = 0; more < count; more++)
            put_subshell(stream, kind, more);
        fprintf(stream, "%s;;\n", kind->after);
    }
    fprintf(stream, "esac; echo done >&%d; done\n", SHELL_REPORT_FD);
    return take_text(stream, &text);
}

char *shell_format_tail(const struct shell *shell, const char *run)
{
    char *text;

    if (asprintf(&text, ";%sunset nbdlab nbdlab_count;%s%s%s%s", shell->kind->reset,
                 *shell->options == '\0' ? "" : "set ", shell->options,
                 *shell->options == '\0' ? "" : ";", run) < 0)
        return NULL;
    return text;
}

char *shell_format_order(unsigned long first, unsigned count)
{
    char *text;

    return asprintf(&text, "%lu %u\n", first, count) < 0 ? NULL : text;
}

char *shell_format_job(const char *prepare, const char *const *arguments, bool has_input)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);

    if (stream == NULL)
        return NULL;
    fprintf(stream, "%s%sset -- ", has_input ? "" : "exec </dev/null;", prepare);
    for (size_t i = 0; arguments[i] != NULL; i++) {
        put_word(stream, arguments[i]);
        fputc(arguments[i + 1] == NULL ? '\n' : ' ', stream);
    }
    return take_text(stream, &text);
}
