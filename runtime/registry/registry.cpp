// The registry's rows: reading, writing and reconciling them.
#include "runtime/registry/registry.h"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/core/sha256.h"
#include "runtime/registry/holder.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

DatabaseValue text(std::string_view value) {
  return std::string(value);
}
DatabaseValue whole(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t count_of(const DatabaseValue& value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, integer_of(value).value_or(0)));
}

ModelStatus status_of(std::string_view name) {
  const auto found = std::find(kModelStatusNames.begin(), kModelStatusNames.end(), name);
  return found == kModelStatusNames.end() ? ModelStatus::failed
                                          : static_cast<ModelStatus>(found - kModelStatusNames.begin());
}

constexpr std::string_view kSelectModels = R"sql(
  SELECT m.name, m.source, m.repository, m.commit_id, m.revision, m.path, m.format, m.quantization, m.bytes, m.status, m.reason, m.added,
         u.uses, u.last, m.name = (SELECT value FROM settings WHERE key = 'selected') COLLATE NOCASE
  FROM models m LEFT JOIN usage u ON u.name = m.name)sql";

RegistryModel model_of(Database::Row row) {
  RegistryModel out;
  std::string* const texts[] = {&out.name,     &out.source, &out.repository, &out.commit,
                                &out.revision, &out.path,   &out.format,     &out.quantization};
  for (std::size_t i = 0; i < std::size(texts); ++i) *texts[i] = text_of(row[i]);
  out.bytes = count_of(row[8]);
  out.status = status_of(text_of(row[9]));
  out.reason = text_of(row[10]);
  out.added = text_of(row[11]);
  out.uses = count_of(row[12]);
  out.last_used = text_of(row[13]);
  out.selected = integer_of(row[14]).value_or(0) != 0;
  return out;
}

// Whether the registry would have to be changed to say this.
bool says_the_same(const RegistryModel& a, const RegistryModel& b) {
  const auto same_file = [](const RegistryFile& x, const RegistryFile& y) {
    return x.path == y.path && x.name == y.name && x.bytes == y.bytes && x.hash == y.hash;
  };
  return a.source == b.source && a.repository == b.repository && a.commit == b.commit && a.revision == b.revision &&
         a.path == b.path && a.format == b.format && a.quantization == b.quantization && a.bytes == b.bytes &&
         a.status == b.status && a.reason == b.reason &&
         std::equal(a.files.begin(), a.files.end(), b.files.begin(), b.files.end(), same_file);
}

bool is_of_the_cache(const RegistryModel& model) {
  return model.source == "hub" || model.source == "url";
}

// What is wrong with the files of a model that lies outside the cache.
std::string complaint(const RegistryModel& model) {
  for (const RegistryFile& file : model.files) {
    std::error_code problem;
    const std::uintmax_t bytes = fs::file_size(file.path, problem);
    if (problem) return file.path + " is gone";
    if (bytes != file.bytes) return file.path + " has another size than when it was recorded";
  }
  return "";
}

// A snapshot that became the newest one, or that the catalogue learned of, is found by its path under another name.
const RegistryModel* find_by(const std::vector<RegistryModel>& models, std::string RegistryModel::*member,
                             const std::string& value) {
  const auto found =
      std::find_if(models.begin(), models.end(), [&](const RegistryModel& each) { return each.*member == value; });
  return found == models.end() || value.empty() ? nullptr : &*found;
}

// What the disk does not tell and was recorded before of the same files.
void keep_hashes(RegistryModel& now, const RegistryModel& before) {
  for (RegistryFile& file : now.files)
    for (const RegistryFile& old : before.files)
      if (file.hash.empty() && old.path == file.path && old.bytes == file.bytes) file.hash = old.hash;
}

// What is to be said of a model that no living process is at. `on_disk`: as it was found in the cache, or none.
RegistryModel look_again(const RegistryModel& model, const RegistryModel* on_disk) {
  RegistryModel now = on_disk ? *on_disk : model;
  if (on_disk != nullptr) {
    if (now.revision.empty()) now.revision = model.revision;
    keep_hashes(now, model);
    RegistryModel bad = now;
    bad.status = model.status;
    bad.reason = model.reason;
    const bool were_judged = model.status == ModelStatus::failed && !model.files.empty() && says_the_same(model, bad);
    return were_judged ? bad : now;
  }
  if (model.status == ModelStatus::downloading) {
    now.status = ModelStatus::failed;
    now.reason = "the download was interrupted; pulling again goes on where it stopped";
  } else if (model.status != ModelStatus::failed) {
    now.reason = is_of_the_cache(model) ? "its files are gone from the cache" : complaint(model);
    now.status = now.reason.empty() ? ModelStatus::downloaded : ModelStatus::stale;
  }
  return now;
}

}  // namespace

std::string RegistryModel::weights_hash() const {
  std::string joined, last;
  std::size_t count = 0;
  for (const RegistryFile& file : files) {
    if (!is_weights(file)) continue;
    if (!file.has_sha256()) return "";
    last = file.hash;
    joined += last + "\n";
    ++count;
  }
  return count < 2 ? last : sha256_of(std::as_bytes(std::span(joined)));
}

Result<Registry> Registry::open(const fs::path& home) {
  ASSAY_TRY(OpenedDatabase opened, open_or_replace_database(home));
  Registry out(std::move(opened.database));
  out.moved_aside_ = std::move(opened.moved_aside);
  return out;
}

Result<> Registry::read_files(std::vector<RegistryModel>& models) {
  std::map<std::string, RegistryModel*> by_name;
  for (RegistryModel& model : models) by_name[model.name] = &model;
  return database_.query(
      "SELECT m.name, f.path, f.name, f.bytes, f.hash FROM model_files f JOIN models m ON m.id = f.model ORDER BY "
      "f.model, f.place",
      {}, [&](Database::Row row) {
        if (const auto found = by_name.find(text_of(row[0])); found != by_name.end())
          found->second->files.push_back({text_of(row[1]), text_of(row[2]), count_of(row[3]), text_of(row[4])});
        return true;
      });
}

Result<std::vector<RegistryModel>> Registry::models() {
  std::vector<RegistryModel> out;
  ASSAY_TRY_VOID(database_.query(std::string(kSelectModels) + " ORDER BY m.name", {}, [&](Database::Row row) {
    out.push_back(model_of(row));
    return true;
  }));
  ASSAY_TRY_VOID(read_files(out));
  return out;
}

Result<std::optional<RegistryModel>> Registry::find(std::string_view name) {
  std::vector<RegistryModel> out;
  const DatabaseValue values[] = {text(name)};
  ASSAY_TRY_VOID(database_.query(std::string(kSelectModels) + " WHERE m.name = ?", values, [&](Database::Row row) {
    out.push_back(model_of(row));
    return true;
  }));
  if (out.empty()) return std::optional<RegistryModel>();
  ASSAY_TRY_VOID(read_files(out));
  return std::optional(std::move(out.front()));
}

Result<> Registry::write(const RegistryModel& model, std::string_view holder) {
  const DatabaseValue values[] = {
      text(model.name),   text(model.source), text(model.repository),   text(model.commit), text(model.revision),
      text(model.path),   text(model.format), text(model.quantization), whole(model.bytes), text(name_of(model.status)),
      text(model.reason), text(holder)};
  ASSAY_TRY_VOID(database_.run(R"sql(
    INSERT INTO models (name, source, repository, commit_id, revision, path, format, quantization, bytes, status, reason, holder) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
    ON CONFLICT (name) DO UPDATE SET source = excluded.source, repository = excluded.repository, commit_id = excluded.commit_id, revision = excluded.revision,
      path = excluded.path, format = excluded.format, quantization = excluded.quantization, bytes = excluded.bytes, status = excluded.status,
      reason = excluded.reason, holder = excluded.holder)sql",
                               values));
  const DatabaseValue name[] = {text(model.name)};
  ASSAY_TRY_VOID(database_.run("DELETE FROM model_files WHERE model = (SELECT id FROM models WHERE name = ?)", name));
  std::int64_t place = 0;
  for (const RegistryFile& file : model.files) {
    const DatabaseValue cells[] = {text(model.name), place++,           text(file.path),
                                   text(file.name),  whole(file.bytes), text(file.hash)};
    ASSAY_TRY_VOID(
        database_.run("INSERT INTO model_files (model, place, path, name, bytes, hash) SELECT id, ?2, ?3, ?4, ?5, ?6 "
                      "FROM models WHERE name = ?1",
                      cells));
  }
  return success();
}

Result<> Registry::put(const RegistryModel& model) {
  const auto body = [&] { return write(model, ""); };
  return database_.transaction(body);
}

Result<> Registry::remove(std::string_view name) {
  bool is_there = false;
  const DatabaseValue values[] = {text(name)};
  const auto body = [&]() -> Result<> {
    ASSAY_TRY_VOID(database_.query("SELECT 1 FROM models WHERE name = ?", values,
                                   [&](Database::Row) { return !(is_there = true); }));
    ASSAY_TRY_VOID(database_.run("DELETE FROM models WHERE name = ?", values));
    return database_.run("DELETE FROM settings WHERE key = 'selected' AND value = ? COLLATE NOCASE", values);
  };
  ASSAY_TRY_VOID(database_.transaction(body));
  if (!is_there) return Error{Code::not_found, std::string(name), "is not in the registry; assay list shows what is"};
  return success();
}

// The row goes; what was selected is called `heir` from now on.
Result<> Registry::forget(const std::string& name, const std::string& heir) {
  const DatabaseValue values[] = {text(name)};
  ASSAY_TRY_VOID(database_.run("DELETE FROM models WHERE name = ?", values));
  return heir.empty() ? success() : select(heir);
}

Result<> Registry::begin_download(const RegistryModel& model) {
  RegistryModel begun = model;
  begun.status = ModelStatus::downloading;
  begun.files.clear();  // what will be here is not known yet
  const auto body = [&]() -> Result<> {
    ASSAY_TRY(const auto before, find(model.name));
    return before && before->is_here() ? success() : write(begun, this_holder());
  };
  return database_.transaction(body);
}

Result<> Registry::end_download(const DownloadRecord& record, ModelStatus status) {
  const auto body = [&]() -> Result<> {
    const DatabaseValue row[] = {text(record.model),   text(record.repository), text(record.commit),
                                 text(record.started), record.seconds,          whole(record.bytes),
                                 text(record.outcome), text(record.detail)};
    ASSAY_TRY_VOID(
        database_.run("INSERT INTO downloads (model, repository, commit_id, started, seconds, bytes, outcome, detail) "
                      "VALUES (?,?,?,?,?,?,?,?)",
                      row));
    const DatabaseValue change[] = {text(name_of(status)), text(status == ModelStatus::downloaded ? "" : record.detail),
                                    text(record.model)};
    return database_.run(
        "UPDATE models SET status = ?, reason = ?, holder = '' WHERE name = ? AND status = 'downloading'", change);
  };
  return database_.transaction(body);
}

Result<std::vector<DownloadRecord>> Registry::downloads() {
  std::vector<DownloadRecord> out;
  ASSAY_TRY_VOID(
      database_.query("SELECT model, repository, commit_id, started, coalesce(seconds, 0.0), bytes, outcome, detail "
                      "FROM downloads ORDER BY id",
                      {}, [&](Database::Row row) {
                        const auto* seconds = std::get_if<double>(&row[4]);
                        out.push_back({text_of(row[0]), text_of(row[1]), text_of(row[2]), text_of(row[3]),
                                       seconds ? *seconds : 0, count_of(row[5]), text_of(row[6]), text_of(row[7])});
                        return true;
                      }));
  return out;
}

Result<> Registry::note_use(std::string_view name) {
  const DatabaseValue values[] = {text(name)};
  return database_.run(
      "INSERT INTO usage (name, uses, last) VALUES (?, 1, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) ON CONFLICT (name) DO "
      "UPDATE SET uses = uses + 1, last = excluded.last",
      values);
}

Result<std::string> Registry::selected() {
  std::string out;
  ASSAY_TRY_VOID(database_.query("SELECT value FROM settings WHERE key = 'selected'", {}, [&](Database::Row row) {
    out = text_of(row[0]);
    return false;
  }));
  return out;
}

Result<> Registry::select(std::string_view name) {
  const DatabaseValue values[] = {text(name)};
  return database_.run(
      "INSERT INTO settings (key, value) VALUES ('selected', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      values);
}

Result<Registry::Reconciled> Registry::reconcile(const std::vector<RegistryModel>& found) {
  Reconciled out;
  const auto body = [&]() -> Result<> {
    ASSAY_TRY(const std::vector<RegistryModel> known, models());
    std::map<std::string, std::string> holders;
    ASSAY_TRY_VOID(
        database_.query("SELECT name, holder FROM models WHERE status = 'downloading'", {}, [&](Database::Row row) {
          holders[text_of(row[0])] = text_of(row[1]);
          return true;
        }));
    for (const RegistryModel& model : known) {
      if (model.status == ModelStatus::downloading && is_alive(holders[model.name])) continue;
      const RegistryModel* on_disk = find_by(found, &RegistryModel::name, model.name);
      const RegistryModel* renamed =
          on_disk == nullptr && is_of_the_cache(model) ? find_by(found, &RegistryModel::path, model.path) : nullptr;
      if (renamed != nullptr) {
        ASSAY_TRY_VOID(forget(model.name, model.selected ? renamed->name : ""));
        continue;
      }
      const RegistryModel now = look_again(model, on_disk);
      if (says_the_same(model, now)) continue;
      ++(now.status == ModelStatus::stale ? out.stale : out.changed);
      ASSAY_TRY_VOID(write(now, ""));
    }
    for (const RegistryModel& model : found) {
      if (find_by(known, &RegistryModel::name, model.name) != nullptr) continue;
      ++out.added;
      ASSAY_TRY_VOID(write(model, ""));
    }
    return success();
  };
  ASSAY_TRY_VOID(database_.transaction(body));
  return out;
}

}  // namespace assay
