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
    // What is here. The disk is the truth: the registry is reconciled with it at every start, and made anew from it
    // when damaged.
    {2, "models", R"sql(
      CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,  -- a catalogue id, ORG/REPO[:QUANT], or as imported
        source TEXT NOT NULL,                      -- hub, url, import, ollama, lmstudio
        repository TEXT NOT NULL DEFAULT '', commit_id TEXT NOT NULL DEFAULT '', revision TEXT NOT NULL DEFAULT '',
        path TEXT NOT NULL DEFAULT '',             -- what opens the model
        format TEXT NOT NULL DEFAULT '', quantization TEXT NOT NULL DEFAULT '',
        bytes INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL CHECK (status IN ('downloading', 'downloaded', 'failed', 'stale')),
        reason TEXT NOT NULL DEFAULT '',
        holder TEXT NOT NULL DEFAULT '',           -- of a download: process id and its start time
        added TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        CHECK (status <> 'downloaded' OR path <> '')
      );
      CREATE TABLE model_files (
        model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,                    -- order: the weights' first part first
        path TEXT NOT NULL, name TEXT NOT NULL,    -- where it is, and what it is called in its repository
        bytes INTEGER NOT NULL,
        hash TEXT NOT NULL DEFAULT '',             -- SHA-256, or the git hash (40 digits) of a small file
        PRIMARY KEY (model, place)
      );
      CREATE INDEX model_files_by_hash ON model_files (hash);
      CREATE TABLE downloads (
        id INTEGER PRIMARY KEY,
        model TEXT NOT NULL, repository TEXT NOT NULL, commit_id TEXT NOT NULL,
        started TEXT NOT NULL, seconds REAL, bytes INTEGER,  -- bytes that came over the network
        outcome TEXT NOT NULL, detail TEXT NOT NULL DEFAULT ''
      );
      CREATE TABLE usage (name TEXT PRIMARY KEY COLLATE NOCASE, uses INTEGER NOT NULL, last TEXT NOT NULL);
      CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    )sql"},
};

}  // namespace assay
