// Trie: texts by their bytes, for finding every vocabulary entry that starts at a position.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace assay {

class Trie {
 public:
  using Entry = std::pair<std::string_view, std::int32_t>;  // text, value (not negative)
  static constexpr std::uint32_t kNowhere = 0;              // the root is nobody's child

  Trie() = default;
  // Empty texts are left out; of equal texts the first counts.
  explicit Trie(std::vector<Entry> entries) {
    std::erase_if(entries, [](const Entry& e) { return e.first.empty(); });
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.first < b.first; });
    nodes_.push_back({});
    build(entries);
    for (std::uint32_t child = nodes_[0].first; child < nodes_[0].first + nodes_[0].count; ++child) roots_[nodes_[child].label] = child;
  }

  bool empty() const { return nodes_.size() <= 1; }
  bool can_start(char byte) const { return roots_[static_cast<std::uint8_t>(byte)] != kNowhere; }

  // The child of `node` along `byte`, kNowhere where there is none. Start at node 0.
  std::uint32_t walk(std::uint32_t node, char byte) const {
    const auto label = static_cast<std::uint8_t>(byte);
    if (node == 0) return roots_[label];
    const auto begin = nodes_.begin() + nodes_[node].first, end = begin + nodes_[node].count;
    const auto child = std::lower_bound(begin, end, label, [](const Node& n, std::uint8_t l) { return n.label < l; });
    return child != end && child->label == label ? static_cast<std::uint32_t>(child - nodes_.begin()) : kNowhere;
  }
  // What ends at `node`, -1 where nothing does.
  std::int32_t value(std::uint32_t node) const { return nodes_[node].value; }

  struct Match {
    std::size_t length = 0;
    std::int32_t value = -1;
  };
  // The longest entry that `text` begins with; length 0 where there is none.
  Match longest(std::string_view text) const {
    Match best;
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = walk(node, text[i]);
      if (node == kNowhere) break;
      if (nodes_[node].value >= 0) best = {i + 1, nodes_[node].value};
    }
    return best;
  }

 private:
  struct Node {
    std::uint32_t first = 0;   // of the children, which lie together in label order
    std::uint16_t count = 0;
    std::uint8_t label = 0;
    std::int32_t value = -1;
  };

  // Breadth first: each node owns the range of sorted entries that share its path.
  void build(const std::vector<Entry>& entries) {
    struct Range {
      std::uint32_t node;
      std::size_t begin, end, depth;
    };
    std::vector<Range> work{{0, 0, entries.size(), 0}};
    for (std::size_t next = 0; next < work.size(); ++next) {
      const Range range = work[next];
      std::size_t at = range.begin;
      while (at < range.end && entries[at].first.size() == range.depth) {
        if (nodes_[range.node].value < 0) nodes_[range.node].value = entries[at].second;
        ++at;
      }
      nodes_[range.node].first = static_cast<std::uint32_t>(nodes_.size());
      while (at < range.end) {
        const char label = entries[at].first[range.depth];
        std::size_t end = at + 1;
        while (end < range.end && entries[end].first[range.depth] == label) ++end;
        ++nodes_[range.node].count;
        work.push_back({static_cast<std::uint32_t>(nodes_.size()), at, end, range.depth + 1});
        nodes_.push_back({0, 0, static_cast<std::uint8_t>(label), -1});
        at = end;
      }
    }
  }

  std::vector<Node> nodes_;
  std::array<std::uint32_t, 256> roots_{};
};

}  // namespace assay
