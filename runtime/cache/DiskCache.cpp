#include "runtime/cache/DiskCache.h"

#include "attn/Version.h"
#include "runtime/core/AtomicFile.h"
#include "runtime/core/Config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace fs = std::filesystem;

namespace attn {

using runtime::Setting;

static constexpr std::string_view kExtension = ".attnkernel";
static constexpr std::string_view kNameExtension = ".attnname";      // a second name of a kernel
static constexpr std::string_view kTemporaryMark = ".tmp-";
static constexpr std::size_t kKeyDigits = 32;

static std::string directoryOr(const std::string &directory) {
  return directory.empty() ? cacheDirectory() : directory;
}

/// Only files that are named as ours are ever read or removed.
static bool isFileName(const std::string &name, std::string_view extension) {
  return name.size() == kKeyDigits + extension.size() && name.ends_with(extension) &&
         name.find_first_not_of("0123456789abcdef") == kKeyDigits;
}
static bool isTemporaryName(const std::string &name) {
  std::string::size_type mark = name.find(kTemporaryMark);
  return mark != std::string::npos &&
         (isFileName(name.substr(0, mark), kExtension) || isFileName(name.substr(0, mark), kNameExtension));
}

static std::chrono::system_clock::time_point toSystem(fs::file_time_type time) {
  return std::chrono::time_point_cast<std::chrono::system_clock::duration>(
      std::chrono::file_clock::to_sys(time));
}

namespace {

struct EntryFile {
  fs::path path;
  std::uint64_t bytes;
  fs::file_time_type lastUsed;

  bool isKernel() const { return path.extension() == kExtension; }
};

} // namespace

/// Kernels and second names, most recently used first. Those that vanish meanwhile are left out.
static Result<std::vector<EntryFile>> entryFiles(const std::string &directory) {
  std::vector<EntryFile> files;
  std::error_code error;
  fs::directory_iterator items(directory, error);
  if (error == std::errc::no_such_file_or_directory)
    return files;
  if (error)
    return Status(StatusCode::IoError, fmt::format("cache: {} cannot be read: {}", directory, error.message()));
  for (; items != fs::directory_iterator(); items.increment(error)) {
    std::error_code gone;
    const fs::path &path = items->path();
    std::string name = path.filename().string();
    if ((!isFileName(name, kExtension) && !isFileName(name, kNameExtension)) || !items->is_regular_file(gone))
      continue;
    EntryFile file{path, fs::file_size(path, gone), fs::last_write_time(path, gone)};
    if (!gone)
      files.push_back(std::move(file));
    if (error)
      break;
  }
  std::sort(files.begin(), files.end(), [](const EntryFile &a, const EntryFile &b) { return a.lastUsed > b.lastUsed; });
  return files;
}

std::string cacheDirectory() {
  if (auto directory = runtime::textSetting(Setting::CacheDirectory))
    return *directory;
  // The specification says that relative paths in XDG_CACHE_HOME are to be ignored.
  if (auto base = runtime::textSetting(Setting::XdgCacheHome); base && base->starts_with('/'))
    return *base + "/attnc";
  if (auto home = runtime::textSetting(Setting::Home))
    return *home + "/.cache/attnc";
  return {};
}

Result<std::vector<CacheEntry>> listCache(const std::string &directory) {
  Result<std::vector<EntryFile>> files = entryFiles(directoryOr(directory));
  if (!files)
    return files.status();
  std::vector<CacheEntry> entries;
  for (const EntryFile &file : *files) {
    if (!file.isKernel())
      continue;
    CacheEntry entry;
    entry.key = file.path.stem().string();
    entry.bytes = file.bytes;
    entry.lastUsed = toSystem(file.lastUsed);
    Result<Package> package = Package::read(file.path.string());
    if (package && package->entries().size() == 1) {
      entry.plan = package->entries()[0].plan;
      entry.target = package->entries()[0].target;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<CacheCleared> clearCache(const std::string &directory) {
  std::string path = directoryOr(directory);
  Result<std::vector<EntryFile>> files = entryFiles(path);
  if (!files)
    return files.status();
  CacheCleared cleared;
  for (const EntryFile &file : *files) {
    std::error_code error;
    if (!fs::remove(file.path, error) && error)
      return Status(StatusCode::IoError,
                    fmt::format("cache: {} cannot be removed: {}", file.path.string(), error.message()));
    cleared.entries += file.isKernel() ? 1 : 0;
    cleared.bytes += file.bytes;
  }
  // What a process that died while writing has left.
  std::error_code error;
  for (fs::directory_iterator items(path, error); !error && items != fs::directory_iterator(); items.increment(error)) {
    std::error_code ignored;
    if (isTemporaryName(items->path().filename().string()))
      fs::remove(items->path(), ignored);
  }
  return cleared;
}

} // namespace attn

namespace attn::cache {

static constexpr std::uint64_t kDefaultLimitMiB = 512;

static std::string fileName(const Hash128 &key, std::string_view extension) { return key.hex() + std::string(extension); }

/// The source field of an entry: this line, then the warnings.
static std::string mark(const Hash128 &key) { return "cache entry " + key.hex() + "\n"; }

/// The contents of a second name up to the key that it leads to.
static std::string nameMark(const Hash128 &key) { return key.hex() + ' '; }

/// Marks a file as used. In a read-only directory files keep their age.
static void touch(const fs::path &path) {
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

/// The key that a second name leads to.
static std::optional<Hash128> readName(const fs::path &path, const Hash128 &key) {
  std::ifstream file(path, std::ios::binary);
  std::string text(2 * kKeyDigits + 3, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() != 2 * kKeyDigits + 2 || !text.starts_with(nameMark(key)) || text.back() != '\n')
    return std::nullopt;
  Hash128 other;
  const char *digits = text.data() + kKeyDigits + 1;
  auto [highEnd, highError] = std::from_chars(digits, digits + kKeyDigits / 2, other.high, 16);
  auto [lowEnd, lowError] = std::from_chars(digits + kKeyDigits / 2, digits + kKeyDigits, other.low, 16);
  if (highError != std::errc() || lowError != std::errc() || lowEnd != digits + kKeyDigits || other.hex() != std::string_view(digits, kKeyDigits))
    return std::nullopt;
  return other;
}

Result<std::optional<DiskCache>> DiskCache::fromEnvironment() {
  auto mode = runtime::wordSetting(Setting::CacheMode, {"on", "off"});
  auto limit = runtime::numberSetting(Setting::CacheLimit);
  if (!mode || !limit)
    return mode ? limit.status() : mode.status();
  std::string directory = cacheDirectory();
  if (mode->value_or(0) == 1 || directory.empty())
    return std::optional<DiskCache>();
  std::uint64_t mebibytes = std::min(limit->value_or(kDefaultLimitMiB), std::uint64_t{1} << 40);
  return std::optional(DiskCache(directory, mebibytes << 20));
}

std::optional<StoredKernel> DiskCache::findEntry(const Hash128 &key) const {
  fs::path path = fs::path(directory) / fileName(key, kExtension);
  Result<Package> package = Package::read(path.string());
  if (!package || package->entries().size() != 1 || !package->source().starts_with(mark(key)))
    return std::nullopt;
  touch(path);
  const PackageEntry &entry = package->entries()[0];
  return StoredKernel{entry.manifestJson, entry.ptx, std::string(package->source().substr(mark(key).size()))};
}

std::optional<StoredKernel> DiskCache::find(const Hash128 &key) const {
  fs::path name = fs::path(directory) / fileName(key, kNameExtension);
  std::optional<Hash128> other = readName(name, key);
  if (!other)
    return findEntry(key);
  std::optional<StoredKernel> kernel = findEntry(*other);
  if (kernel) {
    touch(name);
    kernel->sameAs = other;
  }
  return kernel;
}

Status DiskCache::publish(const std::string &fileName, std::span<const std::byte> bytes) const {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return {StatusCode::IoError, fmt::format("cache: {} cannot be made: {}", directory, error.message())};
  if (Status status = runtime::writeFileAtomically((fs::path(directory) / fileName).string(), bytes); !status)
    return status.withContext("cache");
  evict(fileName);
  return {};
}

Status DiskCache::store(const Hash128 &key, const StoredKernel &kernel) const {
  if (kernel.sameAs) {
    std::string line = nameMark(key) + kernel.sameAs->hex() + '\n';
    return publish(fileName(key, kNameExtension), std::as_bytes(std::span(line)));
  }
  Package package;
  package.setSource(mark(key) + kernel.warnings);
  if (Status status = package.add(kernel.manifestJson, kernel.ptx); !status)
    return status;
  return publish(fileName(key, kExtension), package.serialize());
}

void DiskCache::evict(const std::string &keep) const {
  Result<std::vector<EntryFile>> files = entryFiles(directory);
  if (!files)
    return;
  std::uint64_t total = 0;
  for (const EntryFile &file : *files) { // most recently used first
    total += file.bytes;
    std::error_code ignored;
    if (total > limitBytes && file.path.filename() != keep)
      fs::remove(file.path, ignored);
  }
}

} // namespace attn::cache
