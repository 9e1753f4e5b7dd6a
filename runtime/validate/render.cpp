// Findings as JSON, SARIF and JUnit.
#include "runtime/validate/render.h"

#include <map>
#include <set>

#include "runtime/validate/rules.h"

namespace assay {

namespace {

Json finding_json(const Finding& finding) {
  Json out;
  out.set("severity", name_of(finding.severity)).set("rule", finding.rule).set("file", finding.file);
  out.set("offset", finding.offset ? Json(*finding.offset) : Json()).set("subject", finding.subject);
  return std::move(out.set("message", finding.message).set("advice", finding.advice));
}

Json quality_json(const Quality& quality) {
  Json classes = Json::Array{};
  for (const ClassBits& each : quality.classes) {
    Json row;
    row.set("class", name_of(each.kind)).set("parameters", each.parameters).set("bytes", each.bytes);
    classes.push(std::move(row.set("bits_per_weight", each.bits_per_weight())));
  }
  Json out;
  out.set("parameters", quality.parameters)
      .set("bytes", quality.bytes)
      .set("bits_per_weight", quality.bits_per_weight());
  out.set("layer_bits_per_weight", quality.layer_bits)
      .set("expected", quality.expected)
      .set("is_estimate", true)
      .set("classes", std::move(classes));
  if (!quality.memory) return out;
  Json memory;
  memory.set("context", std::uint64_t{quality.context})
      .set("weights_bytes", quality.memory->weights_bytes)
      .set("kv_bytes", quality.memory->kv_bytes);
  memory.set("activation_bytes", quality.memory->activation_bytes).set("total_bytes", quality.memory->total_bytes());
  return std::move(out.set("memory", std::move(memory)));
}

Json validation_json(const Validation& validation) {
  Json findings = Json::Array{}, hashes = Json::Array{};
  for (const Finding& finding : validation.findings) findings.push(finding_json(finding));
  for (const FileHash& hash : validation.hashes) {
    Json row;
    row.set("file", hash.file.string()).set("sha256", hash.sha256);
    hashes.push(std::move(
        row.set("expected", hash.expected.empty() ? Json() : Json(hash.expected)).set("source", hash.source)));
  }
  Json out;
  out.set("path", validation.path.string()).set("file_bytes", validation.file_bytes);
  for (const Severity severity : {Severity::error, Severity::warning, Severity::note})
    out.set(std::string(name_of(severity)) + "s", std::uint64_t{validation.count(severity)});
  out.set("findings", std::move(findings)).set("hashes", std::move(hashes));
  out.set("quality", validation.quality ? quality_json(*validation.quality) : Json());
  return std::move(
      out.set("structure_s", validation.structure_s).set("pass_s", validation.pass_s).set("run_s", validation.run_s));
}

std::string sentence(const Finding& finding) {
  std::string text = finding.subject.empty() ? "" : finding.subject + ": ";
  text += finding.message;
  return finding.advice.empty() ? text : text + "; " + finding.advice;
}

// Files as SARIF wants them named: percent-encoded where a URI needs it.
std::string uri_of(std::string_view path) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                          (byte >= 'a' && byte <= 'z') || c == '/' || c == '-' || c == '_' || c == '.' || c == '~';
    if (is_plain)
      out += c;
    else
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

Json sarif_result(const Finding& finding) {
  Json message, artifact, physical, location;
  message.set("text", sentence(finding));
  artifact.set("uri", uri_of(finding.file));
  physical.set("artifactLocation", std::move(artifact));
  if (finding.offset) {
    Json region;
    physical.set("region", std::move(region.set("byteOffset", *finding.offset).set("byteLength", 0)));
  }
  location.set("physicalLocation", std::move(physical));
  Json out;
  out.set("ruleId", finding.rule).set("level", name_of(finding.severity)).set("message", std::move(message));
  return std::move(out.set("locations", Json::Array{std::move(location)}));
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (byte < 0x20 && c != '\n' && c != '\t')
      out += '?';  // XML 1.0 has no way to write it
    else
      out += c;
  }
  return out;
}

std::string case_xml(const Validation& validation, std::string_view rule, bool strict) {
  std::string failures, messages;
  for (const Finding& finding : validation.findings) {
    if (finding.rule != rule) continue;
    const bool fails = finding.severity == Severity::error || (strict && finding.severity == Severity::warning);
    std::string line = finding.file;
    if (finding.offset) line += " at byte " + std::to_string(*finding.offset);
    line += ": " + sentence(finding) + "\n";
    (fails ? failures : messages) += line;
  }
  std::string out =
      "    <testcase classname=\"" + escaped(validation.path.string()) + "\" name=\"" + std::string(rule) + "\">\n";
  if (!failures.empty())
    out += "      <failure message=\"" + escaped(failures.substr(0, failures.find('\n'))) + "\">" + escaped(failures) +
           "</failure>\n";
  if (!messages.empty()) out += "      <system-out>" + escaped(messages) + "</system-out>\n";
  return out + "    </testcase>\n";
}

}  // namespace

Json validations_json(std::span<const Validation> validations) {
  Json models = Json::Array{};
  for (const Validation& validation : validations) models.push(validation_json(validation));
  Json out;
  out.set("schema", "assay.validate.v1");
  return std::move(out.set("models", std::move(models)));
}

Json validations_sarif(std::span<const Validation> validations, std::string_view version) {
  Json rules = Json::Array{}, results = Json::Array{};
  for (const Rule& rule : all_rules()) {
    Json row, text, level;
    text.set("text", rule.what);
    level.set("level", name_of(rule.severity));
    row.set("id", rule.id).set("shortDescription", std::move(text));
    rules.push(std::move(row.set("defaultConfiguration", std::move(level))));
  }
  for (const Validation& validation : validations)
    for (const Finding& finding : validation.findings) results.push(sarif_result(finding));
  Json driver, tool, run, out;
  driver.set("name", "assay validate").set("version", version).set("rules", std::move(rules));
  tool.set("driver", std::move(driver));
  run.set("tool", std::move(tool)).set("results", std::move(results));
  out.set("$schema", "https://json.schemastore.org/sarif-2.1.0.json").set("version", "2.1.0");
  return std::move(out.set("runs", Json::Array{std::move(run)}));
}

std::string validations_junit(std::span<const Validation> validations, bool strict) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"assay validate\">\n";
  for (const Validation& validation : validations) {
    std::set<std::string> rules, failing;
    for (const Finding& finding : validation.findings) {
      rules.insert(finding.rule);
      if (finding.severity == Severity::error || (strict && finding.severity == Severity::warning))
        failing.insert(finding.rule);
    }
    out += "  <testsuite name=\"" + escaped(validation.path.string()) + "\" tests=\"" +
           std::to_string(std::max<std::size_t>(rules.size(), 1)) + "\" failures=\"" + std::to_string(failing.size()) +
           "\">\n";
    if (rules.empty())
      out += "    <testcase classname=\"" + escaped(validation.path.string()) + "\" name=\"no findings\"/>\n";
    for (const std::string& rule : rules) out += case_xml(validation, rule, strict);
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace assay
