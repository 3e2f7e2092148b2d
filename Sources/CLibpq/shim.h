// What Swift cannot import from libpq: macros with character values.
#include <libpq-fe.h>

static inline int weir_diag_severity(void) { return PG_DIAG_SEVERITY_NONLOCALIZED; }
static inline int weir_diag_sqlstate(void) { return PG_DIAG_SQLSTATE; }
static inline int weir_diag_message(void) { return PG_DIAG_MESSAGE_PRIMARY; }
static inline int weir_diag_detail(void) { return PG_DIAG_MESSAGE_DETAIL; }
static inline int weir_diag_context(void) { return PG_DIAG_CONTEXT; }
static inline int weir_diag_schema(void) { return PG_DIAG_SCHEMA_NAME; }
static inline int weir_diag_table(void) { return PG_DIAG_TABLE_NAME; }
static inline int weir_diag_column(void) { return PG_DIAG_COLUMN_NAME; }
static inline int weir_diag_constraint(void) { return PG_DIAG_CONSTRAINT_NAME; }

// poll(2) to the nanosecond where the system can, else to the millisecond. glibc declares ppoll for
// _GNU_SOURCE only, which its module is built without.
#include <poll.h>
#ifdef __linux__
#include <signal.h>
#include <time.h>
extern int ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
#include <sys/prctl.h>
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
#else
static inline int weir_poll(struct pollfd *descriptors, nfds_t count, long long nanoseconds) {
    return poll(descriptors, count, (int)(nanoseconds / 1000000));
}

static inline int weir_wake_on_time(void) { return 0; }
#endif
