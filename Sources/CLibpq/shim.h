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
