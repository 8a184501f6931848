/** Who frees what nothing needs holds this, and so does who wants nothing to be freed. Nothing else on the database locks by it. */
export const COLLECTOR_LOCK = 7_203_812;
