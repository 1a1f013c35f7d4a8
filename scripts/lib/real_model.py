"""What the programs of a Compose project must find, taken from the model that Docker Compose itself makes of it."""

import os
import re
import shlex

SHELLS = {"sh", "bash", "ash", "/bin/sh", "/bin/bash", "/bin/ash"}
# Words at a command's place that are the shell's own, or in the image that stand-ins are made from.
BUILT_IN = set(
    "if then else elif fi while until do done for in case esac exec set test [ [[ echo printf true false cd exit export "
    "sleep cat grep sed awk cut head tail tr mkdir rm cp mv chmod chown ls touch find id env su setpriv command trap wait "
    "unset read kill wc sort expr date timeout install ln tee ! { } : . source eval return local shift ulimit umask".split()
)


def digest(value):
    """The stand-in program's digest: FNV-1a of 128 bits."""
    result = 0x6C62272E07BB014262B821756295C58D
    for byte in value.encode():
        result = ((result ^ byte) * 0x0000000001000000000000000000013B) % (1 << 128)
    return f"{result:032x}"


def health_words(service):
    """The words of a service's health check: a program and its arguments, or a shell with a text."""
    test = (service.get("healthcheck") or {}).get("test") or ["NONE"]
    if test[0] == "CMD":
        return test[1:]
    return ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else []


def run_words(service):
    """The words of a service's entry point and command, as far as the Compose file sets them."""
    return [*(service.get("entrypoint") or []), *(service.get("command") or [])]


def simple_commands(words):
    """The commands in a list of words, each a list of words: the parts of a shell's text, or the list itself."""
    if len(words) < 2 or words[0] not in SHELLS:
        return [words] if words else []
    text = next((word for word in words[1:] if not word.startswith("-")), "")
    commands = [[]]
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            tokens = list(lexer)
        except ValueError:
            tokens = line.split()
        for token in tokens:
            if set(token) <= set(";&|()"):
                commands.append([])
            else:
                commands[-1].append(token)
        commands.append([])
    return [command for command in (program_first(command) for command in commands) if command]


def program_first(command):
    """A command without what may be before its program: keywords of the shell, and assignments."""
    while command and (
        command[0] in {"if", "then", "else", "elif", "while", "until", "do", "!", "exec", "{", "time"}
        or re.match(r"^\w+=", command[0])
    ):
        command = command[1:]
    return command


def programs(service):
    """The programs that a service's commands and health check call and that Debian's base image does not have."""
    found = set()
    for words in (run_words(service), health_words(service)):
        for command in simple_commands(words):
            program = command[0]
            if not re.match(r"^[\w./+][\w./+-]*$", program) or program in BUILT_IN | SHELLS:
                continue
            place = service.get("working_dir") or "/" if "/" in program else "/usr/local/bin"
            found.add(os.path.normpath(os.path.join(place, program)))
    return found


def with_variables(word, environment):
    """A word of a shell's text with the service's variables in their places."""
    put = lambda match: environment.get(match[1] or match[2]) or ""
    return re.sub(r"\$(?:\{(\w+)[^}]*\}|(\w+))", put, word)


def checks(own, secrets, values, literal):
    """The lines of checks of one service.

    Returns them with what holds a secret: names of variables, `argument` and `health check`.

    `own` is its part of the model, `secrets` are the declared names and their values, `values` those of the project,
    `literal` the variables that the project's files set to a text without any variable.
    """
    lines = []
    environment = dict(own.get("environment") or {})
    for name in environment:
        if name in literal and name in secrets:
            environment[name] = secrets[name]
    pairs = []
    for section in ("run", "exec"):
        for name, value in sorted(environment.items()):
            if name == "STAND_IN_ROLE" or value is None:
                continue
            lines.append(f"{section} variable {name} {digest(value)}")
        for name in secrets:
            for form in (name, f"{name}_FILE"):
                if environment.get(form) is None:
                    lines.append(f"{section} no-variable {form} -")
    for name, value in sorted(environment.items()):
        if value and any(secret in value for secret in values):
            pairs.append(name)
    for section, words in (("run", run_words(own)), ("exec", health_words(own))):
        shell = bool(words) and words[0] in SHELLS
        for command in simple_commands(words):
            for word in command:
                word = with_variables(word.replace("$$", "$"), environment) if shell else word.replace("$$", "$")
                # What the shell itself does with a word, no stand-in sees.
                if any(secret in word for secret in values) and command[0] not in BUILT_IN:
                    program = command[0].rsplit("/", 1)[-1] if shell or section == "exec" else "-"
                    lines.append(f"{section} argument {program} {digest(word)}")
                    pairs.append("argument" if section == "run" else "health check")
    return lines, pairs
