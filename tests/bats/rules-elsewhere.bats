#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The rules of the protocol (tests/rules.py), tried on a server that runs already; and programs of
# the tests whose reader does not want to know all.

load common

@test "a good server with a small disk breaks no rule: those that need more are skipped" {
    serve memory 512
    run -0 /usr/bin/python3 "$TESTS/rules.py" --socket "$SOCK"
    contains "$output" "# SKIP needs a disk of 524288 bytes; this one has 512"
    case $output in *"not ok"*) false ;; esac
    stop
}

@test "programs whose output is cut short end without a traceback" {
    py <<'EOT'
import subprocess
for words in ["rules.py", "--list"], ["rules.py"], ["exit_status.py"], ["each_option.py"]:
    reader, writer = os.pipe()
    os.close(reader)
    program = subprocess.run(["/usr/bin/python3", TESTS + "/" + words[0]] + words[1:],
                             stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    same((program.returncode, program.stderr), (141, b""), " ".join(words))
EOT
}
