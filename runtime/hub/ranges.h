// RangeSet: which bytes of a file are there, as sorted ranges that neither touch nor overlap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

namespace assay {

// Bytes from `begin` up to and without `end`.
struct Range {
  std::uint64_t begin = 0, end = 0;
  std::uint64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

class RangeSet {
 public:
  void add(Range range) {
    if (range.begin >= range.end) return;
    auto next = ranges_.upper_bound(range.begin);
    if (next != ranges_.begin() && std::prev(next)->second >= range.begin) --next;
    while (next != ranges_.end() && next->first <= range.end) {
      range.begin = std::min(range.begin, next->first);
      range.end = std::max(range.end, next->second);
      next = ranges_.erase(next);
    }
    ranges_.emplace(range.begin, range.end);
  }

  void remove(Range range) {
    if (range.begin >= range.end) return;
    auto next = ranges_.upper_bound(range.begin);
    if (next != ranges_.begin() && std::prev(next)->second > range.begin) --next;
    while (next != ranges_.end() && next->first < range.end) {
      const Range old{next->first, next->second};
      next = ranges_.erase(next);
      if (old.begin < range.begin) ranges_.emplace(old.begin, range.begin);
      if (old.end > range.end) ranges_.emplace(range.end, old.end);
    }
  }

  // The first bytes in [begin, end) that are not in the set.
  std::optional<Range> first_gap(std::uint64_t begin, std::uint64_t end) const {
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin()) begin = std::max(begin, std::prev(next)->second);
    while (next != ranges_.end() && next->first <= begin) begin = std::max(begin, (next++)->second);
    if (begin >= end) return std::nullopt;
    return Range{begin, next == ranges_.end() ? end : std::min(end, next->first)};
  }

  // The end of the bytes that are there without a gap from 0 on.
  std::uint64_t prefix() const { return ranges_.empty() || ranges_.begin()->first != 0 ? 0 : ranges_.begin()->second; }

  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [begin, end] : ranges_) sum += end - begin;
    return sum;
  }

  std::vector<Range> list() const {
    std::vector<Range> out;
    for (const auto& [begin, end] : ranges_) out.push_back({begin, end});
    return out;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin -> end
};

}  // namespace assay
