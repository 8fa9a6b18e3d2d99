"""Runs a command as a shell does, in a terminal of its own: in the foreground, and continued when it is stopped. Prints all it saw, and how it ended.

The first argument is a list in JSON of what to do, a pair each: the text to wait for, and what to type then, or the rows and columns that the terminal gets.
"""
import fcntl, json, os, pty, signal, struct, sys, termios

steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(command[0], command)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.write(1, b"<stopped>\n")
            os.killpg(job, signal.SIGCONT)
        else:
            ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            os.write(1, b"<ended %d>\n" % ended)
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
            sys.exit("the terminal ended without %r: %s" % (text, seen.decode()))
        seen += piece


for text, then in steps:
    until(text.encode())
    if isinstance(then, str):
        os.write(terminal, then.encode())
    else:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *then, 0, 0))
until(b"<ended")
sys.stdout.write(seen.decode())
