// SPDX-License-Identifier: BSD-3-Clause
/*
 * The text of --help: the options in the order of the table in options.c, the
 * same as in nbdlab(1). Entered by the main thread at start-up; calls log.
 */
#include "help.h"

#include <stdio.h>

#include "log.h"

static const char options[] =
    "  -4, --ipv4-only              listen on, or look -i up as, IPv4 only\n"
    "  -6, --ipv6-only              listen on, or look -i up as, IPv6 only\n"
    "      --bytes-in-flight=SIZE   memory for requests of all clients [1G]\n"
    "      --connections=N          clients at once; further ones wait [1024]\n"
    "  -D, --debug=NAME.FLAG=N      set a debug flag of a plugin, or of nbdkit\n"
    "      --exit-with-parent       stop when the parent process ends\n"
    "  -e, --exportname=NAME        the export in the URI of --run, --print-uri\n"
    "      --filter=NAME            refused: there are no filters yet\n"
    "  -f, --foreground             do not go to the background\n"
    "  -g, --group=GROUP            become this group before the first client\n"
    "  -i, --ipaddr=ADDRESS         listen on this address or host name only\n"
    "      --keepalive              notice clients that vanish (SO_KEEPALIVE)\n"
    "      --log=WHERE              messages to stderr, syslog, null or a file\n"
    "      --mask-handshake=MASK    offer only these handshake flags\n"
    "      --name=NAME              the name of this server in its messages\n"
    "  -n, --newstyle               the newstyle NBD protocol (the default)\n"
    "      --no-mc                  offer no meta contexts (block status)\n"
    "      --no-sr                  offer no structured replies\n"
    "  -o, --oldstyle               the oldstyle NBD protocol, for old clients\n"
    "  -P, --pidfile=FILE           write the process ID when clients can connect\n"
    "  -p, --port=PORT              the TCP port; 0 picks a free one [10809]\n"
    "      --print-uri              print the URI for clients\n"
    "  -r, --readonly               clients cannot write\n"
    "      --run=COMMAND            run a shell command with $uri, then stop\n"
    "      --selinux-label=LABEL    the SELinux label of the socket\n"
    "  -s, --single                 serve one client on standard input and output\n"
    "      --swap                   lock the server in memory, for swap space\n"
    "  -t, --threads=N              requests in work at once per client [16]\n"
    "      --timeout=TIME           time for a handshake, 0 for no limit [10]\n"
    "      --tls=off|on|require     refuse, offer or insist on encryption\n"
    "      --tls-certificates=DIR   the folder of the X.509 certificates\n"
    "      --tls-priority=STRING    which ciphers and versions, for GnuTLS\n"
    "      --tls-psk=FILE           pre-shared keys instead of certificates\n"
    "      --tls-verify-peer        clients need a certificate, too\n"
    "  -U, --unix=SOCKET|-          a Unix domain socket; '-' makes a private one\n"
    "  -u, --user=USER              become this user before the first client\n"
    "  -v, --verbose                say what happens, a line for each call\n"
    "      --vsock                  listen for virtual machines (AF_VSOCK)\n"
    "\n"
    "      --dump-config            how the program was built, as KEY=VALUE lines\n"
    "      --dump-plugin            what PLUGIN can do, as KEY=VALUE lines\n"
    "      --help                   this text; with PLUGIN, its parameters too\n"
    "      --long-options           the long options, one a line\n"
    "      --short-options          the short options, one a line\n"
    "  -V, --version                the version\n"
    "\n"
    "Other names: --export and --export-name for -e, --no-fork for -f, --ip-addr\n"
    "for -i, --keep-alive, --new-style for -n, --no-meta-contexts for --no-mc,\n"
    "--no-structured-replies for --no-sr, --old-style for -o, --pid-file for -P,\n"
    "--print-url, --show-uri and --show-url for --print-uri, --read-only for -r,\n"
    "--stdin for -s, --time-out.\n";

void help_print(void)
{
    const char *name = log_get_program();

    printf("usage: %s [OPTION...] PLUGIN [[KEY=]VALUE|@FILE...]\n"
           "       %s [OPTION...] ./DISK.SH [[KEY=]VALUE|@FILE...]\n"
           "\n"
           "Serves disks to NBD clients; a disk is a shell script or a compiled plugin.\n"
           "\n",
           name, name);
    fputs(options, stdout);
    printf("\n"
           "The manual is nbdlab(1); nbdlab-sh-plugin(3) tells how to write a disk.\n");
}
