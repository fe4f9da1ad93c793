/*
 * Runs all files of folders through a fuzz target: replay_NAME FOLDER... Each file gets a process
 * of its own, so that a crash is counted and the others still run. Exits 1 when one failed or there
 * was none.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counts {
    size_t passed, failed;
};

/* In the child: no way back. */
_Noreturn static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(FILE_MAX);
    if (!file || !data) {
        perror(path);
        _exit(1);
    }
    size_t size = fread(data, 1, FILE_MAX, file);
    fclose(file);
    /* A block of just this size: the sanitizer sees a target that goes beyond the end. */
    uint8_t *exact = realloc(data, size > 0 ? size : 1);
    if (!exact)
        exit(1);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    exit(0); /* not _exit(): leaks are looked for at the end */
}

static void replay_file(const char *path, struct counts *counts)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_file(path);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("FAILED %s\n", path);
        counts->failed++;
        return;
    }
    counts->passed++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_folder(const char *folder, struct counts *counts)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0) {
        perror(folder);
        counts->failed++;
        return;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        replay_file(path, counts);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct counts counts = {0};
    for (int i = 1; i < argc; i++)
        replay_folder(argv[i], &counts);
    printf("%zu passed, %zu failed\n", counts.passed, counts.failed);
    return counts.failed > 0 || counts.passed == 0;
}
