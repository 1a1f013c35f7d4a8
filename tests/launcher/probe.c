/* The program that the launcher's tests start: it says what a program can know of itself, which is to be the same with the
   launcher and without. A static program, for images with nothing else in them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what, const char *text)
{
	printf("%s ", what);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte < 0x20 || byte == '\\' || byte > 0x7e)
			printf("\\x%02x", byte);
		else
			putchar(byte);
	}
	putchar('\n');
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a file of /proc that begin with one of these words; all of them without words. */
static void lines(const char *path, const char *const *words)
{
	char line[4096];
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		int wanted = !words;
		for (const char *const *word = words; word && *word; word++)
			wanted |= !strncmp(line, *word, strlen(*word));
		line[strcspn(line, "\n")] = 0;
		if (wanted)
			say(path, line);
	}
	fclose(file);
}

static void descriptors(void)
{
	for (int fd = 0; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags >= 0)
			printf("fd %d %o %d\n", fd, flags, fcntl(fd, F_GETFD));
	}
}

static int report(char **words)
{
	static const char *const status[] = { "Name:", "Umask:", "Uid:", "Gid:", "Groups:", "Threads:",
		"ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:",
		"NoNewPrivs:", "Seccomp:", 0 };
	char directory[4096];
	size_t count = 0;
	descriptors();
	/* Behind an init the numbers themselves differ from start to start. */
	printf("process first=%d child=%s leader=%d session=%d\n", getpid() == 1,
	       getppid() > 1 ? "of another" : getppid() ? "of the first" : "of none", getpgrp() == getpid(), getsid(0) == 1);
	say("cwd", getcwd(directory, sizeof directory) ? directory : "none");
	for (; *words; words++)
		say("word", *words);
	while (environ[count])
		count++;
	qsort(environ, count, sizeof *environ, by_text);
	for (char **entry = environ; *entry; entry++)
		say("variable", *entry);
	lines("/proc/self/status", status);
	lines("/proc/self/limits", NULL);
	lines("/proc/self/oom_score_adj", NULL);
	return 0;
}

static void on_term(int signal)
{
	(void)signal;
	_exit(42);
}

/* Ends with 42 when it is told to terminate, as a server that tidies up does. */
static _Noreturn void serve(void)
{
	signal(SIGTERM, on_term);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* Starts a program with a signal blocked and broken pipes ignored, as a careless supervisor does. */
static int careless(char **words)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	execv(words[0], words);
	return 1;
}

/* 0 when the variable has the bytes of the file. */
static int has(const char *name, const char *path)
{
	char bytes[65536];
	const char *value = getenv(name);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : read(file, bytes, sizeof bytes);
	return !(value && length >= 0 && strlen(value) == (size_t)length && !memcmp(value, bytes, (size_t)length));
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "report";
	if (!strcmp(what, "serve"))
		serve();
	if (!strcmp(what, "careless") && count > 2)
		return careless(words + 2);
	if (!strcmp(what, "exit") && count > 2)
		return atoi(words[2]);
	if (!strcmp(what, "has") && count > 3)
		return has(words[2], words[3]);
	return report(words);
}
