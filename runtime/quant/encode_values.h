// What all encoders check about the values they are given, and the errors they give back.
#pragma once

#include <optional>
#include <span>

#include "runtime/core/error.h"
#include "runtime/formats/dtype.h"

namespace assay::encode {

// Place of the first NaN or infinity.
std::optional<std::size_t> first_not_finite(std::span<const float> values);

Error not_finite(float value, std::uint64_t column);
// `limit` says what the format can hold.
Error too_large(FormatId format, std::uint64_t first_column, std::string_view limit);

}  // namespace assay::encode
