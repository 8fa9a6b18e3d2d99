"""Runs a command as a shell does, in a terminal of its own: in the foreground, interrupted by Ctrl-C, stopped by Ctrl-Z and continued. Prints all it saw."""
import os, pty, signal, sys

pid, terminal = pty.fork()
if pid == 0:
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(sys.argv[1], sys.argv[1:])
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.write(1, b"<stopped>\n")
            os.killpg(job, signal.SIGCONT)
        else:
            os.write(1, b"<ended %d>\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)

seen = b""


def until(text):
    global seen
    while text not in seen:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            sys.exit("the terminal ended: " + seen.decode())
        seen += piece


until(b"<tty>")
os.write(terminal, b"\x03")
until(b"<interrupted>")
os.write(terminal, b"\x1a")
until(b"<stopped>")
os.write(terminal, b"end\n")
until(b"<ended")
sys.stdout.write(seen.decode())
