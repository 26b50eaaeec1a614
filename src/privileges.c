// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the identity that was chosen. Entered by the main thread; calls log and
 * parse.
 */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "parse.h"

static struct {
    const char *user;  /* as the command line has it, or NULL */
    const char *group; /* likewise */
    char *account;     /* the user's name, for its groups; NULL if it has none */
    uid_t uid;
    gid_t gid;
} chosen;

/* The last number means "no change" to the kernel. Returns 0 or -1. */
static int parse_id(const char *text, uint64_t *id)
{
    return parse_unsigned(text, UINT32_MAX - 1, id) ? -1 : 0;
}

static int choose_user(const char *user)
{
    const struct passwd *account = getpwnam(user);
    uint64_t id;

    chosen.user = user;
    if (!account && parse_id(user, &id) == 0) {
        account = getpwuid((uid_t)id);
        chosen.uid = (uid_t)id;
        chosen.gid = (gid_t)id;
    } else if (!account) {
        log_error("-u/--user: there is no user '%s'", user);
        return -1;
    }
    if (!account)
        return 0;
    chosen.uid = account->pw_uid;
    /* Who is not root keeps its group, and may name itself. */
    if (chosen.uid != geteuid() || chosen.uid == 0)
        chosen.gid = account->pw_gid;
    chosen.account = strdup(account->pw_name);
    if (chosen.account)
        return 0;
    log_error("-u/--user: %m");
    return -1;
}

static int choose_group(const char *group)
{
    const struct group *entry = getgrnam(group);
    uint64_t id;

    if (entry) {
        chosen.gid = entry->gr_gid;
    } else if (parse_id(group, &id) == 0) {
        chosen.gid = (gid_t)id;
    } else {
        log_error("-g/--group: there is no group '%s'", group);
        return -1;
    }
    chosen.group = group;
    return 0;
}

int privileges_choose(const char *user, const char *group)
{
    chosen.uid = geteuid();
    chosen.gid = getegid();
    if (user && choose_user(user) < 0)
        return -1;
    return group ? choose_group(group) : 0;
}

bool privileges_are_chosen(void)
{
    return chosen.user || chosen.group;
}

uid_t privileges_get_uid(void)
{
    return chosen.uid;
}

gid_t privileges_get_gid(void)
{
    return chosen.gid;
}

/* Nothing to give up: who is not root may name itself. */
static bool is_chosen_already(void)
{
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (uids[i] == 0 || uids[i] != chosen.uid || gids[i] != chosen.gid)
            return false;
    return true;
}

/* With -g it is that group alone, as in nbdkit; else all groups that the user is in. */
static int set_groups(void)
{
    if (chosen.account && !chosen.group)
        return initgroups(chosen.account, chosen.gid);
    return setgroups(1, &chosen.gid);
}

/* The kernel takes them from root that becomes a user, but not from a user that had some. */
static int clear_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

    return (int)syscall(SYS_capset, &header, none);
}

/* Returns 0 or -1 with errno; `*what` is then what failed. */
static int change(const char **what)
{
    *what = "groups";
    if (set_groups() < 0)
        return -1;
    *what = "group";
    if (setresgid(chosen.gid, chosen.gid, chosen.gid) < 0)
        return -1;
    *what = "user";
    return setresuid(chosen.uid, chosen.uid, chosen.uid);
}

int privileges_drop(void)
{
    const char *what = "capabilities";

    if (!privileges_are_chosen())
        return 0;
    if ((is_chosen_already() || change(&what) == 0) &&
        (chosen.uid == 0 || clear_capabilities() == 0))
        return 0;
    log_error("%s%s%s%s%s: cannot change the %s of the server: %m%s", chosen.user ? "-u " : "",
              chosen.user ? chosen.user : "", chosen.user && chosen.group ? " " : "",
              chosen.group ? "-g " : "", chosen.group ? chosen.group : "", what,
              errno == EPERM ? "; only root can do that" : "");
    return -1;
}

void privileges_warn_of_root(void)
{
    if (geteuid() == 0 && !chosen.user)
        log_warning("serving as root: what clients make the plugin do is done with root's rights; "
                    "-u USER gives them up");
}
