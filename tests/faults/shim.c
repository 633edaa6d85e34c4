/* Preloaded into Tunery's processes by tests: another wall clock, and disks that refuse to sync.

   What is to be is read from a file mapped into memory, so that it changes while they run. Clocks that nobody can
   set (monotonic, since boot) go on as they are, as they do when somebody sets a machine's clock. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct wanted {
    int64_t seconds;   /* added to the wall clock */
    int64_t sync_fails; /* fsync and fdatasync say EIO */
};

static const struct wanted nothing;
static const volatile struct wanted *wanted = &nothing;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("TUNERY_TEST_SHIM");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(struct wanted), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) wanted = found;
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    int failed = (int)syscall(SYS_clock_gettime, clock, found);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += wanted->seconds;
    return failed;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}

static int sync_by(long number, int file) {
    if (wanted->sync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(number, file);
}

int fsync(int file) { return sync_by(SYS_fsync, file); }
int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }
