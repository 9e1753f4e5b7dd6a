// What the page is made of, built into the program.
#pragma once

#include <string_view>

namespace assay {

std::string_view page_template();   // page/page.html
std::string_view page_style();      // page/page.css
std::string_view page_charts();     // page/charts.js
std::string_view page_script();     // page/page.js
std::string_view chart_library();   // Chart.js as Debian ships it

}  // namespace assay
