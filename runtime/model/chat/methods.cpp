// Methods of texts, lists, dicts and loops.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

using Called = Result<Value>;
using Call = Called (*)(Machine&, const Value& self, const Arguments&);
struct Row {
  std::string_view name;
  Call call;
};

Error wrong(std::string detail) { return Error{Code::malformed, "method", std::move(detail)}; }
const Text& text_of(const Value& self) { return *as<Text>(self); }
Called make_text(Machine& machine, std::string text) { return machine.store().text(std::move(text)); }

Called make_list(Machine& machine, const std::vector<std::string_view>& parts, ListForm form = ListForm::list) {
  std::vector<Value> items;
  for (const std::string_view part : parts) items.push_back(Text{part});
  ASSAY_TRY(List* out, machine.store().list(std::move(items), form));
  return Value(out);
}

template <std::string (*Change)(std::string_view)>
Called change(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY([[maybe_unused]] const Bound bound, Bound::make(arguments, {}));
  return machine.store().text(Change(text_of(self).bytes), text_of(self).is_safe);
}

// An argument that may be none or missing.
Result<std::optional<std::string_view>> text_or_none(const Bound& bound, std::size_t index) {
  if (bound.at(index) == nullptr || is_none(*bound.at(index))) return std::optional<std::string_view>();
  ASSAY_TRY(const std::string_view text, bound.text(index));
  return std::optional(text);
}

template <Side From>
Called strip_text(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"chars"}));
  ASSAY_TRY(const auto chars, text_or_none(bound, 0));
  ASSAY_TRY_VOID(machine.spend(text_of(self).bytes.size() * (chars ? 1 + chars->size() : 1)));
  return Value(Text{strip(text_of(self).bytes, From, chars), text_of(self).is_safe});
}

template <bool FromRight>
Called split_text(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"sep", "maxsplit"}));
  ASSAY_TRY(const auto separator, text_or_none(bound, 0));
  ASSAY_TRY(const std::int64_t most, bound.integer(1, -1));
  if (separator && separator->empty()) return wrong("split needs a separator that is not empty");
  ASSAY_TRY_VOID(machine.store().charge(text_of(self).bytes.size()));
  return make_list(machine, FromRight ? split_from_right(text_of(self).bytes, separator, most) : split(text_of(self).bytes, separator, most));
}

Called split_into_lines(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"keepends"}));
  return make_list(machine, split_lines(text_of(self).bytes, bound.flag(0)));
}

// What stands before, the separator, and what stands after it.
template <bool FromRight>
Called partition(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"sep"}));
  ASSAY_TRY(const std::string_view separator, bound.text(0));
  if (separator.empty()) return wrong("partition needs a separator that is not empty");
  const std::string_view text = text_of(self).bytes;
  const std::size_t at = FromRight ? text.rfind(separator) : text.find(separator);
  if (at == std::string_view::npos) return make_list(machine, FromRight ? std::vector<std::string_view>{"", "", text} : std::vector<std::string_view>{text, "", ""}, ListForm::tuple);
  return make_list(machine, {text.substr(0, at), separator, text.substr(at + separator.size())}, ListForm::tuple);
}

template <bool AtEnd>
Called begins_or_ends(Machine&, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"affix", "start", "end"}));
  if (bound.at(0) == nullptr) return wrong("a text to look for is missing");
  std::string_view text = text_of(self).bytes;
  if (bound.at(1) != nullptr) {
    ASSAY_TRY(const std::int64_t start, bound.integer(1));
    if (start < 0 || bound.at(2) != nullptr) return Error{Code::unsupported, "method", "startswith and endswith with an end or a negative start are not supported"};
    text.remove_prefix(byte_of(text, static_cast<std::size_t>(start)));
  }
  const List* several = as_list(*bound.at(0));
  for (const Value& affix : several != nullptr ? several->items : std::vector<Value>{*bound.at(0)}) {
    const Text* part = as<Text>(affix);
    if (part == nullptr) return wrong(fmt::format("a text to look for must be a text, not a {}", type_name(affix)));
    if (AtEnd ? text.ends_with(part->bytes) : text.starts_with(part->bytes)) return Value(true);
  }
  return Value(false);
}

Called replace_in(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"old", "new", "count"}));
  ASSAY_TRY(const std::string_view old, bound.text(0));
  ASSAY_TRY(const std::string_view with, bound.text(1));
  ASSAY_TRY(const std::int64_t count, bound.integer(2, -1));
  if (replaced_size(text_of(self).bytes, old, with, count) > machine.text_limit()) return too_long();
  return make_text(machine, replace(text_of(self).bytes, old, with, count));
}

// The character at which a part begins: -1, or an error, when it is not there.
template <bool FromRight, bool MustBe>
Called find_in(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"sub"}));
  ASSAY_TRY(const std::string_view part, bound.text(0));
  const std::string_view text = text_of(self).bytes;
  ASSAY_TRY_VOID(machine.spend(text.size()));
  const std::size_t at = FromRight ? text.rfind(part) : text.find(part);
  if (at != std::string_view::npos) return Value(static_cast<std::int64_t>(count_characters(text.substr(0, at))));
  if (MustBe) return wrong("the part is not in the text");
  return Value(std::int64_t{-1});
}

Called count_in(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"sub"}));
  ASSAY_TRY(const std::string_view part, bound.text(0));
  const std::string_view text = text_of(self).bytes;
  ASSAY_TRY_VOID(machine.spend(text.size()));
  if (part.empty()) return Value(static_cast<std::int64_t>(count_characters(text) + 1));
  std::int64_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return Value(count);
}

Called join_with(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"iterable"}));
  if (bound.at(0) == nullptr) return wrong("join needs what to join");
  ASSAY_TRY(const std::vector<Value> items, machine.iterate(*bound.at(0)));
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Text* part = as<Text>(items[i]);
    if (part == nullptr) return wrong(fmt::format("join needs texts, not a {}", type_name(items[i])));
    if (i > 0) out += text_of(self).bytes;
    out += part->bytes;
    if (out.size() > machine.text_limit()) return too_long();
  }
  return make_text(machine, std::move(out));
}

template <bool AtEnd>
Called remove_affix(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"affix"}));
  ASSAY_TRY(const std::string_view affix, bound.text(0));
  std::string_view text = text_of(self).bytes;
  if (AtEnd && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!AtEnd && text.starts_with(affix)) text.remove_prefix(affix.size());
  return make_text(machine, std::string(text));
}

enum class Place : std::uint8_t { left, right, zeros };
template <Place Where>
Called pad(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"width", "fillchar"}));
  ASSAY_TRY(const std::int64_t width, bound.integer(0));
  ASSAY_TRY(const std::string_view fill, bound.text(1, Where == Place::zeros ? "0" : " "));
  if (width > 10'000) return wrong("texts are padded to at most 10000 characters");
  if (count_characters(fill) != 1) return wrong("one character fills");
  const std::string_view text = text_of(self).bytes;
  std::string padding;
  for (auto size = static_cast<std::int64_t>(count_characters(text)); size < width; ++size) padding += fill;
  if (Where == Place::left) return make_text(machine, std::string(text) + padding);
  if (Where == Place::right) return make_text(machine, padding + std::string(text));
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  return make_text(machine, std::string(text.substr(0, sign)) + padding + std::string(text.substr(sign)));
}

template <bool (*Is)(char32_t)>
Called is_all(Machine& machine, const Value& self, const Arguments&) {
  ASSAY_TRY_VOID(machine.spend(text_of(self).bytes.size()));
  return Value(all_of(text_of(self).bytes, Is));
}
bool is_letter_or_digit(char32_t code) { return is_letter(code) || is_digit(code); }

// isupper and islower: the tests of the same meaning.
template <bool Upper>
Called has_case(Machine& machine, const Value& self, const Arguments&) {
  ASSAY_TRY(const bool result, find_test(Upper ? "upper" : "lower")->holds(machine, self, {}));
  return Value(result);
}

constexpr std::array kTextMethods = {
    Row{"strip", strip_text<Side::both>}, Row{"lstrip", strip_text<Side::left>}, Row{"rstrip", strip_text<Side::right>}, Row{"split", split_text<false>},
    Row{"rsplit", split_text<true>}, Row{"splitlines", split_into_lines}, Row{"partition", partition<false>}, Row{"rpartition", partition<true>},
    Row{"startswith", begins_or_ends<false>}, Row{"endswith", begins_or_ends<true>}, Row{"upper", change<to_upper>}, Row{"lower", change<to_lower>},
    Row{"title", change<title>}, Row{"capitalize", change<capitalize>}, Row{"swapcase", change<swap_case>}, Row{"replace", replace_in},
    Row{"find", find_in<false, false>}, Row{"rfind", find_in<true, false>}, Row{"index", find_in<false, true>}, Row{"count", count_in}, Row{"join", join_with},
    Row{"removeprefix", remove_affix<false>}, Row{"removesuffix", remove_affix<true>}, Row{"ljust", pad<Place::left>}, Row{"rjust", pad<Place::right>},
    Row{"zfill", pad<Place::zeros>}, Row{"isdigit", is_all<is_digit>}, Row{"isalpha", is_all<is_letter>}, Row{"isalnum", is_all<is_letter_or_digit>},
    Row{"isspace", is_all<is_space>}, Row{"isupper", has_case<true>}, Row{"islower", has_case<false>}};

Called append(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"item"}));
  if (bound.at(0) == nullptr) return wrong("append needs an item");
  ASSAY_TRY_VOID(machine.store().append(*as_list(self), *bound.at(0)));
  return Value(None{});
}

Called extend(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"items"}));
  if (bound.at(0) == nullptr) return wrong("extend needs items");
  ASSAY_TRY(const std::vector<Value> items, machine.iterate(*bound.at(0)));
  for (const Value& item : items) ASSAY_TRY_VOID(machine.store().append(*as_list(self), item));
  return Value(None{});
}

Called insert(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"index", "item"}));
  ASSAY_TRY(std::int64_t at, bound.integer(0));
  if (bound.at(1) == nullptr) return wrong("insert needs an item");
  std::vector<Value>& items = as_list(self)->items;
  ASSAY_TRY_VOID(machine.store().charge(sizeof(Value)));
  ASSAY_TRY_VOID(machine.spend(items.size() * sizeof(Value)));
  const auto size = static_cast<std::int64_t>(items.size());
  at = std::clamp<std::int64_t>(at < 0 ? std::max(at, -size) + size : at, 0, size);
  items.insert(items.begin() + at, *bound.at(1));
  return Value(None{});
}

Called pop_item(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"index"}));
  std::vector<Value>& items = as_list(self)->items;
  ASSAY_TRY(std::int64_t at, bound.integer(0, -1));
  const auto size = static_cast<std::int64_t>(items.size());
  if (at < -size || at >= size) return wrong("pop: there is no such item");
  if (at < 0) at += size;
  ASSAY_TRY_VOID(machine.spend(items.size() * sizeof(Value)));
  const Value out = items[static_cast<std::size_t>(at)];
  items.erase(items.begin() + at);
  return out;
}

Called index_of(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"item"}));
  const std::vector<Value>& items = as_list(self)->items;
  ASSAY_TRY_VOID(machine.spend(items.size() * sizeof(Value)));
  const auto found = std::find_if(items.begin(), items.end(), [&](const Value& item) { return bound.at(0) != nullptr && are_equal(item, *bound.at(0)); });
  if (found == items.end()) return wrong("index: the item is not there");
  return Value(static_cast<std::int64_t>(found - items.begin()));
}

Called count_of(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"item"}));
  const std::vector<Value>& items = as_list(self)->items;
  ASSAY_TRY_VOID(machine.spend(items.size() * sizeof(Value)));
  return Value(static_cast<std::int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& item) { return bound.at(0) != nullptr && are_equal(item, *bound.at(0)); })));
}

Called copy_list(Machine& machine, const Value& self, const Arguments&) {
  ASSAY_TRY_VOID(machine.spend(as_list(self)->items.size() * sizeof(Value)));
  ASSAY_TRY(List* out, machine.store().list(as_list(self)->items, as_list(self)->form));
  return Value(out);
}

// The first two are of tuples, too.
constexpr std::array kListMethods = {Row{"index", index_of}, Row{"count", count_of}, Row{"append", append}, Row{"extend", extend},
                                     Row{"insert", insert},  Row{"pop", pop_item},   Row{"copy", copy_list}};

Called get(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"key", "default"}));
  if (bound.at(0) == nullptr) return wrong("get needs a key");
  Dict& dict = *as_dict(self);
  ASSAY_TRY_VOID(machine.spend(dict.entries.size() * sizeof(Value)));
  if (!is_hashable(*bound.at(0))) return wrong(fmt::format("a {} cannot be a key", type_name(*bound.at(0))));
  const Value* found = find(dict, *bound.at(0));
  return found ? *found : bound.value_or(1, None{});
}

enum class Of : std::uint8_t { keys, values, items };
template <Of What>
Called view(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY([[maybe_unused]] const Bound bound, Bound::make(arguments, {}));
  std::vector<Value> out;
  for (const auto& [key, value] : as_dict(self)->entries) {
    if (What == Of::items) {
      ASSAY_TRY(List* pair, machine.store().list({key, value}, ListForm::tuple));
      out.push_back(pair);
    } else {
      out.push_back(What == Of::keys ? key : value);
    }
  }
  ASSAY_TRY(List* list, machine.store().list(std::move(out), ListForm::view, What == Of::keys ? "dict_keys" : What == Of::values ? "dict_values" : "dict_items"));
  return Value(list);
}

Called update(Machine& machine, const Value& self, const Arguments& arguments) {
  Dict& dict = *as_dict(self);
  if (arguments.positional.size() > 1) return wrong("update takes one dict");
  if (!arguments.positional.empty()) {
    const Dict* other = as_dict(arguments.positional[0]);
    if (other == nullptr) return wrong("update takes a dict");
    const auto entries = other->entries;
    for (const auto& [key, value] : entries) {
      ASSAY_TRY_VOID(machine.spend(dict.entries.size() * sizeof(Value)));
      ASSAY_TRY_VOID(machine.store().set(dict, key, value));
    }
  }
  for (const auto& [name, value] : arguments.named) ASSAY_TRY_VOID(machine.store().set(dict, Text{name}, value));
  return Value(None{});
}

Called pop_key(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"key", "default"}));
  if (bound.at(0) == nullptr) return wrong("pop needs a key");
  Dict& dict = *as_dict(self);
  ASSAY_TRY_VOID(machine.spend(dict.entries.size() * sizeof(Value)));
  for (auto entry = dict.entries.begin(); entry != dict.entries.end(); ++entry)
    if (are_equal(entry->first, *bound.at(0))) {
      const Value out = entry->second;
      dict.entries.erase(entry);
      return out;
    }
  if (bound.at(1) == nullptr) return wrong("pop: there is no such key");
  return *bound.at(1);
}

Called set_default(Machine& machine, const Value& self, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"key", "default"}));
  if (bound.at(0) == nullptr) return wrong("setdefault needs a key");
  Dict& dict = *as_dict(self);
  if (const Value* found = find(dict, *bound.at(0))) return *found;
  const Value value = bound.value_or(1, None{});
  ASSAY_TRY_VOID(machine.store().set(dict, *bound.at(0), value));
  return value;
}

Called copy_dict(Machine& machine, const Value& self, const Arguments&) {
  ASSAY_TRY(Dict* out, machine.store().dict());
  ASSAY_TRY_VOID(machine.store().charge(as_dict(self)->entries.size() * 2 * sizeof(Value)));
  out->entries = as_dict(self)->entries;
  return Value(out);
}

constexpr std::array kDictMethods = {Row{"get", get},       Row{"items", view<Of::items>}, Row{"keys", view<Of::keys>},   Row{"values", view<Of::values>},
                                     Row{"update", update}, Row{"pop", pop_key},           Row{"setdefault", set_default}, Row{"copy", copy_dict}};

// One of the arguments after the other, round after round.
Called cycle(Machine&, const Value& self, const Arguments& arguments) {
  const Loop& loop = **as<Loop*>(self);
  if (arguments.positional.empty()) return wrong("cycle needs values");
  return arguments.positional[loop.index % arguments.positional.size()];
}

// Whether the arguments are other ones than in the last call.
Called changed(Machine& machine, const Value& self, const Arguments& arguments) {
  Loop& loop = **as<Loop*>(self);
  bool is_new = !loop.changed || loop.changed->size() != arguments.positional.size();
  for (std::size_t i = 0; !is_new && i < arguments.positional.size(); ++i) is_new = !are_equal((*loop.changed)[i], arguments.positional[i]);
  ASSAY_TRY_VOID(machine.store().charge(arguments.positional.size() * sizeof(Value)));
  loop.changed = arguments.positional;
  return Value(is_new);
}

constexpr std::array kLoopMethods = {Row{"cycle", cycle}, Row{"changed", changed}};

// Methods that Python has and Assay does not: named when they are called, and never taken for a key.
constexpr std::array<std::string_view, 8> kForeignTextMethods = {"format", "format_map", "encode", "translate", "maketrans", "center", "casefold", "expandtabs"};
constexpr std::array<std::string_view, 4> kForeignListMethods = {"remove", "clear", "sort", "reverse"};
constexpr std::array<std::string_view, 3> kForeignDictMethods = {"clear", "popitem", "fromkeys"};

struct Methods {
  std::span<const Row> rows;
  std::span<const std::string_view> foreign;
};

Methods methods_of(const Value& self) {
  if (as<Text>(self)) return {kTextMethods, kForeignTextMethods};
  if (as_dict(self)) return {kDictMethods, kForeignDictMethods};
  if (as<Loop*>(self)) return {kLoopMethods, {}};
  const List* list = as_list(self);
  if (list != nullptr && list->form == ListForm::list) return {kListMethods, kForeignListMethods};
  if (list != nullptr && list->form == ListForm::tuple) return {std::span(kListMethods).first(2), {}};
  return {};
}

const Row* find_method(const Methods& methods, std::string_view name) {
  for (const Row& row : methods.rows)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  const Methods methods = methods_of(self);
  return find_method(methods, name) != nullptr || std::find(methods.foreign.begin(), methods.foreign.end(), name) != methods.foreign.end();
}

Result<Value> call_method(Machine& machine, const Value& self, std::string_view name, const Arguments& arguments) {
  const Row* row = find_method(methods_of(self), name);
  if (row == nullptr) return Error{Code::unsupported, "method", fmt::format("the method \"{}\" of a {} is not supported", name, type_name(self))};
  return row->call(machine, self, arguments);
}

}  // namespace assay::jinja
