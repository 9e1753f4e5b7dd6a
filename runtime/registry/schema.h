// The tables of assay.db, as the steps in which they came to be.
#pragma once

#include <span>

#include "runtime/registry/database.h"

namespace assay {

// Results are an index over JSON lines, which are the truth: `assay results reindex` makes them anew.
inline constexpr Migration kMigrations[] = {
    {1, "results", R"sql(
      CREATE TABLE results (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL, tag TEXT NOT NULL, time TEXT NOT NULL, commit_id TEXT NOT NULL,
        engine TEXT NOT NULL, model TEXT NOT NULL, model_sha256 TEXT NOT NULL, test TEXT NOT NULL, status TEXT NOT NULL,
        key TEXT NOT NULL, host_fingerprint TEXT NOT NULL,
        prefill_tps REAL, decode_tps REAL, ttft_ms REAL, peak_bytes REAL, perplexity REAL,
        file TEXT NOT NULL, line INTEGER NOT NULL, record TEXT NOT NULL,
        UNIQUE (file, line)
      );
      CREATE INDEX results_by_key ON results (key, host_fingerprint);
      CREATE INDEX results_by_run ON results (run_id);
      CREATE INDEX results_by_tag ON results (tag);
    )sql"},
};

}  // namespace assay
