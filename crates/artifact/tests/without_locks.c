/* Stands in for a file system that was mounted without locks: every flock fails with the number in FLOCK_ERRNO. */
#include <errno.h>
#include <stdlib.h>

int flock(int file, int operation) {
    (void)file;
    (void)operation;
    errno = atoi(getenv("FLOCK_ERRNO"));
    return -1;
}
