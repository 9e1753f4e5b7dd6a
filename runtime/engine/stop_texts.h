// StopTexts: text held back as long as it could be the beginning of one that ends everything.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace assay {

class StopTexts {
 public:
  explicit StopTexts(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What may be shown of the text so far; sets `stopped` when a stop text is complete (it and what follows are dropped).
  std::string push(const std::string& text, bool& stopped) {
    held_ += text;
    std::size_t keep = 0;
    for (const std::string& stop : stops_) {
      const std::size_t found = held_.find(stop);
      if (found != std::string::npos) {
        held_.resize(found);
        stopped = true;
      }
      for (std::size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length)
        if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) keep = length;
    }
    if (stopped) keep = 0;
    std::string shown = held_.substr(0, held_.size() - keep);
    held_.erase(0, shown.size());
    return shown;
  }
  std::string rest() { return std::exchange(held_, {}); }

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace assay
