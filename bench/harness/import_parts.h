// Rows of CSV and SQL text as objects, for import.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/core/json.h"

namespace assay {

// The first line names the columns. Fields are text, or numbers where they look like one. Quotes as in RFC 4180.
std::vector<Json> rows_of_csv(std::string_view text);
// INSERT INTO name (columns) VALUES (values); as llama-bench writes them, and with doubled quotes.
std::vector<Json> rows_of_sql(std::string_view text);

}  // namespace assay
