/* Preloaded into processes to simulate a file system without locks (every flock fails with the number in FLOCK_ERRNO) and a clock set back
   (by the seconds in CLOCK_BACK). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int flock(int file, int operation) {
    const char *number = getenv("FLOCK_ERRNO");
    if (number) {
        errno = atoi(number);
        return -1;
    }
    return (int)syscall(SYS_flock, file, operation);
}

static long back(void) {
    const char *seconds = getenv("CLOCK_BACK");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec -= back();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = (int)syscall(SYS_gettimeofday, now, zone);
    if (!failed && now) now->tv_sec -= back();
    return failed;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
