// What Swift cannot import from the system: calls that glibc declares for _GNU_SOURCE only, which
// its module is built without, and calls with a variable number of arguments.
#include <poll.h>
#include <string.h>

// The cores that a thread may run on, one bit each.
enum { weir_cores_max = 1024, weir_word_width = 8 * sizeof(unsigned long) };
struct weir_cores {
    unsigned long bits[weir_cores_max / weir_word_width];
};

static inline int weir_has_core(const struct weir_cores *cores, int core) {
    if (core < 0 || core >= weir_cores_max) return 0;
    return cores->bits[core / weir_word_width] >> (core % weir_word_width) & 1;
}

static inline struct weir_cores weir_one_core(int core) {
    struct weir_cores cores = {{0}};
    if (core >= 0 && core < weir_cores_max)
        cores.bits[core / weir_word_width] = 1UL << (core % weir_word_width);
    return cores;
}

static inline int weir_are_equal(const struct weir_cores *left, const struct weir_cores *right) {
    return memcmp(left, right, sizeof *left) == 0;
}

#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
extern int ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);

// poll(2) to the nanosecond where the system can, else to the millisecond.
static inline int weir_poll(struct pollfd *descriptors, nfds_t count, long long nanoseconds) {
    struct timespec span = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return ppoll(descriptors, count, &span, 0);
}

// Has this thread woken on time: else it may sleep 50 µs longer than it says (prctl(2),
// PR_SET_TIMERSLACK). True where the system can.
static inline int weir_wake_on_time(void) {
    static _Thread_local int is_set;
    if (!is_set) is_set = prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0) == 0;
    return is_set;
}

// Where a thread may run, 0 being this one: sched_getaffinity(2). False where there is no such
// thread, and on a machine of more than 1,024 cores.
static inline int weir_get_cores(int thread, struct weir_cores *cores) {
    *cores = (struct weir_cores){{0}};
    return syscall(SYS_sched_getaffinity, thread, sizeof *cores, cores) > 0;
}

static inline int weir_set_cores(int thread, const struct weir_cores *cores) {
    return syscall(SYS_sched_setaffinity, thread, sizeof *cores, cores) == 0;
}

// The core that this thread runs on; negative where that is not known.
static inline int weir_current_core(void) {
    unsigned core = 0;
    return syscall(SYS_getcpu, &core, 0, 0) == 0 ? (int)core : -1;
}
#else
static inline int weir_poll(struct pollfd *descriptors, nfds_t count, long long nanoseconds) {
    return poll(descriptors, count, (int)(nanoseconds / 1000000));
}

static inline int weir_wake_on_time(void) { return 0; }
static inline int weir_get_cores(int thread, struct weir_cores *cores) { return 0; }
static inline int weir_set_cores(int thread, const struct weir_cores *cores) { return 0; }
static inline int weir_current_core(void) { return -1; }
#endif
