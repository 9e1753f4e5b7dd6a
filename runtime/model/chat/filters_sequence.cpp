// Filters on lists and mappings, and the search for a filter by its name.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/model/chat/filters.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

using Filtered = Result<Value>;

Filtered as_generator(Machine& machine, std::vector<Value> items, std::string_view name) {
  ASSAY_TRY(List* list, machine.store().list(std::move(items), ListForm::generator, name));
  return Value(list);
}

Filtered length(Machine& machine, const Value& input, const Arguments&) {
  if (const Text* text = as<Text>(input)) {
    ASSAY_TRY_VOID(machine.spend(text->bytes.size()));
    return Value(static_cast<std::int64_t>(count_characters(text->bytes)));
  }
  if (const Dict* dict = as_dict(input)) return Value(static_cast<std::int64_t>(dict->entries.size()));
  if (const List* list = as_list(input); list != nullptr && list->form != ListForm::generator) return Value(static_cast<std::int64_t>(list->items.size()));
  if (is_undefined(input)) return Value(std::int64_t{0});
  return wrong(fmt::format("a {} has no length", type_name(input)));
}

Filtered otherwise(Machine&, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"default_value", "boolean"}));
  if (is_undefined(input) || (bound.flag(1) && !is_true(input))) return bound.value_or(0, Text{});
  return input;
}

Filtered join(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"d", "attribute"}));
  ASSAY_TRY(const std::string between, machine.text_of(bound.value_or(0, Text{})));
  ASSAY_TRY(const std::vector<Value> items, machine.iterate(input));
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (const Value* attribute = bound.at(1); attribute != nullptr && !is_none(*attribute)) {
      ASSAY_TRY(item, machine.path(item, *attribute));
    }
    ASSAY_TRY(const std::string text, machine.text_of(item));
    if (i > 0) out += between;
    out += text;
    if (out.size() > machine.text_limit()) return too_long();
  }
  return machine.store().text(std::move(out));
}

Filtered first(Machine& machine, const Value& input, const Arguments&) {
  if (List* list = as_list(input); list != nullptr && list->form == ListForm::generator) {
    if (list->items.empty()) return Value(Undefined{"the first item of nothing"});
    const Value item = list->items.front();
    list->items.erase(list->items.begin());
    return item;
  }
  ASSAY_TRY(const std::vector<Value> items, machine.iterate(input));
  return items.empty() ? Value(Undefined{"the first item of nothing"}) : items.front();
}

Filtered last(Machine& machine, const Value& input, const Arguments&) {
  if (const List* list = as_list(input); list != nullptr && list->form == ListForm::generator) return wrong("a generator has no last item; make it a list first");
  ASSAY_TRY(const std::vector<Value> items, machine.iterate(input));
  return items.empty() ? Value(Undefined{"the last item of nothing"}) : items.back();
}

Filtered list(Machine& machine, const Value& input, const Arguments&) {
  ASSAY_TRY(std::vector<Value> items, machine.iterate(input));
  ASSAY_TRY(List* out, machine.store().list(std::move(items)));
  return Value(out);
}

Filtered reverse(Machine& machine, const Value& input, const Arguments&) {
  if (const Text* text = as<Text>(input)) {
    std::string out;
    std::vector<std::string_view> parts = characters(text->bytes);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) out += *part;
    return machine.store().text(std::move(out), text->is_safe);
  }
  ASSAY_TRY(std::vector<Value> items, machine.iterate(input));
  std::reverse(items.begin(), items.end());
  return as_generator(machine, std::move(items), "reversed");
}

Result<std::vector<Value>> pairs_of(Machine& machine, const Dict& dict) {
  std::vector<Value> out;
  for (const auto& [key, value] : dict.entries) {
    ASSAY_TRY(List* pair, machine.store().list({key, value}, ListForm::tuple));
    out.push_back(pair);
  }
  return out;
}

Filtered items(Machine& machine, const Value& input, const Arguments&) {
  if (is_undefined(input)) return as_generator(machine, {}, "do_items");
  const Dict* dict = as_dict(input);
  if (dict == nullptr) return wrong(fmt::format("a {} has no pairs of keys and values", type_name(input)));
  ASSAY_TRY(std::vector<Value> pairs, pairs_of(machine, *dict));
  return as_generator(machine, std::move(pairs), "do_items");
}

// What an item is compared by: itself, an attribute, or several ("age,name"); texts in lower case unless cases count.
Filtered key_of(Machine& machine, const Value& item, const Value* attribute, bool cases_count) {
  const auto one = [&](const Value& by) -> Filtered {
    ASSAY_TRY(const Value value, machine.path(item, by));
    const Text* text = as<Text>(value);
    return text != nullptr && !cases_count ? machine.store().text(to_lower(text->bytes)) : Filtered(value);
  };
  if (attribute == nullptr || is_none(*attribute)) {
    const Text* text = as<Text>(item);
    return text != nullptr && !cases_count ? machine.store().text(to_lower(text->bytes)) : Filtered(item);
  }
  const Text* names = as<Text>(*attribute);
  if (names == nullptr || names->bytes.find(',') == std::string_view::npos) return one(*attribute);
  std::vector<Value> keys;
  for (const std::string_view name : split(names->bytes, ",", -1)) {
    ASSAY_TRY(const Value key, one(Text{name}));
    keys.push_back(key);
  }
  ASSAY_TRY(List* tuple, machine.store().list(std::move(keys), ListForm::tuple));
  return Value(tuple);
}

struct Keyed {
  Value key, item;
};

Result<std::vector<Keyed>> keyed(Machine& machine, std::vector<Value> items, const Value* attribute, bool cases_count) {
  std::vector<Keyed> out;
  for (const Value& item : items) {
    ASSAY_TRY(const Value key, key_of(machine, item, attribute, cases_count));
    out.push_back({key, item});
  }
  return out;
}

// The items as a list. Equal ones keep their order, backwards, too.
Filtered sort_by_key(Machine& machine, std::vector<Keyed> all, bool backwards) {
  std::optional<Error> problem;
  const auto goes_before = [&](const Keyed& a, const Keyed& b) {
    if (problem) return false;
    for (const Value* key : {&a.key, &b.key})
      if (const Undefined* undefined = as<Undefined>(*key)) problem = wrong(why(*undefined));
    if (problem) return false;
    auto order = compare(a.key, b.key);
    if (order) return backwards ? *order > 0 : *order < 0;
    problem = std::move(order).error();
    return false;
  };
  ASSAY_TRY_VOID(machine.spend(all.size() * 256));
  std::stable_sort(all.begin(), all.end(), goes_before);
  if (problem) return std::move(*problem);
  std::vector<Value> sorted;
  for (const Keyed& one : all) sorted.push_back(one.item);
  ASSAY_TRY(List* out, machine.store().list(std::move(sorted)));
  return Value(out);
}

Filtered sort(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"reverse", "case_sensitive", "attribute"}));
  ASSAY_TRY(std::vector<Value> values, machine.iterate(input));
  ASSAY_TRY(std::vector<Keyed> all, keyed(machine, std::move(values), bound.at(2), bound.flag(1)));
  return sort_by_key(machine, std::move(all), bound.flag(0));
}

Filtered dict_sort(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"case_sensitive", "by", "reverse"}));
  ASSAY_TRY(const std::string_view by, bound.text(1, "key"));
  const Dict* dict = as_dict(input);
  if (dict == nullptr) return wrong(is_undefined(input) ? why(*as<Undefined>(input)) : fmt::format("dictsort needs a dict, not a {}", type_name(input)));
  if (by != "key" && by != "value") return wrong("dictsort goes by \"key\" or by \"value\"");
  ASSAY_TRY(std::vector<Value> pairs, pairs_of(machine, *dict));
  const Value place = std::int64_t{by == "value"};
  ASSAY_TRY(std::vector<Keyed> all, keyed(machine, std::move(pairs), &place, bound.flag(0)));
  return sort_by_key(machine, std::move(all), bound.flag(2));
}

Filtered unique(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"case_sensitive", "attribute"}));
  ASSAY_TRY(std::vector<Value> values, machine.iterate(input));
  ASSAY_TRY(const std::vector<Keyed> all, keyed(machine, std::move(values), bound.at(1), bound.flag(0)));
  std::vector<Value> seen, kept;
  for (const Keyed& one : all) {
    if (!is_hashable(one.key)) return wrong(fmt::format("unique cannot compare a {}", type_name(one.key)));
    ASSAY_TRY_VOID(machine.spend(seen.size() * 64));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& key) { return are_equal(key, one.key); })) continue;
    seen.push_back(one.key);
    kept.push_back(one.item);
  }
  return as_generator(machine, std::move(kept), "do_unique");
}

template <int Sign>
Filtered extreme(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"case_sensitive", "attribute"}));
  ASSAY_TRY(std::vector<Value> values, machine.iterate(input));
  ASSAY_TRY(const std::vector<Keyed> all, keyed(machine, std::move(values), bound.at(1), bound.flag(0)));
  if (all.empty()) return Value(Undefined{"the smallest or largest item of nothing"});
  const Keyed* best = &all[0];
  for (std::size_t i = 1; i < all.size(); ++i) {
    ASSAY_TRY(const int order, compare(all[i].key, best->key));
    if (order == Sign) best = &all[i];
  }
  return best->item;
}

Filtered sum(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"attribute", "start"}));
  ASSAY_TRY(const std::vector<Value> values, machine.iterate(input));
  Value total = bound.value_or(1, std::int64_t{0});
  for (Value value : values) {
    if (const Value* attribute = bound.at(0); attribute != nullptr && !is_none(*attribute)) {
      ASSAY_TRY(value, machine.path(value, *attribute));
    }
    ASSAY_TRY(total, machine.calculate("+", total, value));
  }
  return total;
}

// Arguments after the first `skipped` ones.
Arguments rest_of(const Arguments& arguments, std::size_t skipped) {
  return {{arguments.positional.begin() + static_cast<std::ptrdiff_t>(skipped), arguments.positional.end()}, arguments.named};
}

Filtered map(Machine& machine, const Value& input, const Arguments& arguments) {
  if (!is_true(input)) return as_generator(machine, {}, "sync_do_map");
  ASSAY_TRY(const std::vector<Value> values, machine.iterate(input));
  std::vector<Value> out;
  if (arguments.positional.empty()) {
    ASSAY_TRY(const Bound bound, Bound::make(arguments, {"attribute", "default"}));
    if (bound.at(0) == nullptr) return wrong("map needs a filter or an attribute");
    for (const Value& value : values) {
      ASSAY_TRY(Value found, machine.path(value, *bound.at(0)));
      if (is_undefined(found) && bound.at(1) != nullptr && !is_none(*bound.at(1))) found = *bound.at(1);
      out.push_back(found);
    }
  } else {
    const Text* name = as<Text>(arguments.positional[0]);
    const FilterRow* filter = name ? find_filter(name->bytes) : nullptr;
    if (filter == nullptr) return Error{Code::unsupported, "map", fmt::format("the filter \"{}\" is not supported", name ? name->bytes : type_name(arguments.positional[0]))};
    const Arguments rest = rest_of(arguments, 1);
    for (const Value& value : values) {
      ASSAY_TRY(const Value changed, filter->apply(machine, value, rest));
      out.push_back(changed);
    }
  }
  return as_generator(machine, std::move(out), "sync_do_map");
}

// The items, or those with an attribute, for which a test holds; without a test, those that are true.
template <bool Keeps, bool HasAttribute>
Filtered select(Machine& machine, const Value& input, const Arguments& arguments) {
  constexpr std::string_view kName = Keeps ? (HasAttribute ? "sync_do_selectattr" : "sync_do_select") : (HasAttribute ? "sync_do_rejectattr" : "sync_do_reject");
  if (!is_true(input)) return as_generator(machine, {}, kName);
  constexpr std::size_t kTestAt = HasAttribute ? 1 : 0;
  if (arguments.positional.size() < kTestAt) return wrong("the attribute is missing");
  const TestRow* test = nullptr;
  Arguments rest;
  if (arguments.positional.size() > kTestAt) {
    const Text* name = as<Text>(arguments.positional[kTestAt]);
    test = name ? find_test(name->bytes) : nullptr;
    if (test == nullptr) return Error{Code::unsupported, "select", fmt::format("the test \"{}\" is not supported", name ? name->bytes : type_name(arguments.positional[kTestAt]))};
    rest = rest_of(arguments, kTestAt + 1);
  }
  ASSAY_TRY(const std::vector<Value> values, machine.iterate(input));
  std::vector<Value> kept;
  for (const Value& value : values) {
    ASSAY_TRY(const Value of, HasAttribute ? machine.path(value, arguments.positional[0]) : Filtered(value));
    ASSAY_TRY(const bool holds, test != nullptr ? test->holds(machine, of, rest) : Result<bool>(is_true(of)));
    if (holds == Keeps) kept.push_back(value);
  }
  return as_generator(machine, std::move(kept), kName);
}

Filtered batch(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"linecount", "fill_with"}));
  ASSAY_TRY(const std::int64_t count, bound.integer(0));
  if (count < 1 || count > 1'000'000) return wrong("batch needs a count from 1");
  ASSAY_TRY(const std::vector<Value> values, machine.iterate(input));
  std::vector<Value> out;
  const auto size = static_cast<std::size_t>(count);
  for (std::size_t at = 0; at < values.size(); at += size) {
    std::vector<Value> part(values.begin() + static_cast<std::ptrdiff_t>(at), values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size(), at + size)));
    if (const Value* fill = bound.at(1); fill != nullptr && !is_none(*fill)) part.resize(size, *fill);
    ASSAY_TRY(List* one, machine.store().list(std::move(part)));
    out.push_back(one);
  }
  return as_generator(machine, std::move(out), "do_batch");
}

Filtered slice(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"slices", "fill_with"}));
  ASSAY_TRY(const std::int64_t count, bound.integer(0));
  if (count < 1 || count > 1'000'000) return wrong("slice needs a count from 1");
  ASSAY_TRY(const std::vector<Value> values, machine.iterate(input));
  const auto slices = static_cast<std::size_t>(count);
  std::vector<Value> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    const bool has_extra = i < values.size() % slices;
    const std::size_t end = at + values.size() / slices + (has_extra ? 1 : 0);
    std::vector<Value> part(values.begin() + static_cast<std::ptrdiff_t>(at), values.begin() + static_cast<std::ptrdiff_t>(end));
    if (const Value* fill = bound.at(1); fill != nullptr && !is_none(*fill) && !has_extra) part.push_back(*fill);
    ASSAY_TRY(List* one, machine.store().list(std::move(part)));
    out.push_back(one);
    at = end;
  }
  return as_generator(machine, std::move(out), "sync_do_slice");
}

Filtered attribute(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"name"}));
  ASSAY_TRY(const std::string_view name, bound.text(0));
  if (as_dict(input) != nullptr && !has_method(input, name)) return Value(Undefined{name, "dict"});
  return machine.attribute(input, name);
}

constexpr std::array kRows = {
    FilterRow{"length", length}, FilterRow{"count", length}, FilterRow{"default", otherwise}, FilterRow{"d", otherwise}, FilterRow{"join", join},
    FilterRow{"first", first}, FilterRow{"last", last}, FilterRow{"list", list}, FilterRow{"reverse", reverse}, FilterRow{"items", items},
    FilterRow{"sort", sort}, FilterRow{"dictsort", dict_sort}, FilterRow{"unique", unique}, FilterRow{"min", extreme<-1>}, FilterRow{"max", extreme<1>},
    FilterRow{"sum", sum}, FilterRow{"map", map}, FilterRow{"select", select<true, false>}, FilterRow{"reject", select<false, false>},
    FilterRow{"selectattr", select<true, true>}, FilterRow{"rejectattr", select<false, true>}, FilterRow{"batch", batch}, FilterRow{"slice", slice},
    FilterRow{"attr", attribute}};

}  // namespace

std::span<const FilterRow> sequence_filters() { return kRows; }

const FilterRow* find_filter(std::string_view name) {
  for (const auto& rows : {text_filters(), sequence_filters()})
    for (const FilterRow& row : rows)
      if (row.name == name) return &row;
  return nullptr;
}

}  // namespace assay::jinja
