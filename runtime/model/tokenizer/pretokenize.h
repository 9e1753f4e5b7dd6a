// PreTokenizer: cuts a text into the pieces that a tokenizer's model sees one at a time.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer/regex.h"

namespace assay {

// What becomes of a match (a delimiter): its own piece, dropped, joined to a neighbour, or joined to adjacent matches.
enum class SplitBehaviour { isolated, removed, merged_with_previous, merged_with_next, contiguous };

// Cuts at the matches of `pattern`; `invert` swaps matches and the text between them.
struct SplitStep {
  std::variant<Regex, std::string> pattern;
  SplitBehaviour behaviour = SplitBehaviour::isolated;
  bool invert = false;
};

// Runs of decimal digits in groups of three counted from the right ("1 234 567").
struct DigitGroupStep {
  bool needs_word_end = false;  // only where no letter or '_' follows the run
};

// Spaces become `replacement`; one is put in front, and the text is cut before each.
enum class Prepend { never, first, always };
struct MetaspaceStep {
  std::string replacement = "\xe2\x96\x81";
  Prepend prepend = Prepend::always;
  bool split = true;
};

// A space in front of a text that does not begin with one.
struct PrefixSpaceStep {};

// Bytes become the characters that stand for them (byte_level.h), for steps that come after.
struct ByteCharactersStep {};

using PreTokenizerStep = std::variant<SplitStep, DigitGroupStep, MetaspaceStep, PrefixSpaceStep, ByteCharactersStep>;

class PreTokenizer {
 public:
  // Pieces of one text, and the memory of those that are not views into it.
  struct Pieces {
    std::vector<std::string_view> views;
    std::vector<std::string_view> next;
    std::deque<std::string> made;
    Regex::Scratch regex;
  };

  void add(PreTokenizerStep step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }

  // Where a text stands: what belongs in front of a text goes in front of those that start one.
  struct Place {
    bool starts_fragment = true;  // follows an added token or the start of the input
    bool starts_input = true;
  };

  // Fills `pieces.views`. `text` is well-formed UTF-8.
  void run(std::string_view text, Place place, Pieces& pieces) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace assay
