// Who is at a download: a process told apart from a later one with the same number.
#pragma once

#include <string>
#include <string_view>

namespace assay {

// "PID START BOOT" of this process.
std::string this_holder();
// Whether that process still runs on this machine.
bool is_alive(std::string_view holder);

}  // namespace assay
