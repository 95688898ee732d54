"""The shell in a simulated guest: ``sleep N``, ``echo TEXT`` and ``exit N``, one a line."""

_BAD_WORD = 2


def read_script(script: bytes) -> tuple[int, float, str]:
    """Exit code, seconds and output of a script for the make-believe shell."""
    seconds, said = 0.0, ""
    for line in script.decode(errors="replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "exit":
                return int(rest or 0), seconds, said
            if word == "sleep":
                seconds += float(rest)
        except ValueError:
            return _BAD_WORD, seconds, said
        if word == "echo":
            said += rest + "\n"
    return 0, seconds, said
