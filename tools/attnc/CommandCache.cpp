// `attnc cache`: the disk cache of compiled kernels.
#include "tools/attnc/Command.h"

#include "attn/Cache.h"

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace attn::tools {

static nlohmann::ordered_json toJson(const std::vector<CacheEntry> &entries) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const CacheEntry &entry : entries)
    rows.push_back({{"key", entry.key},
                    {"plan", entry.plan},
                    {"target", entry.target},
                    {"bytes", entry.bytes},
                    {"last_used", std::chrono::system_clock::to_time_t(entry.lastUsed)},
                    {"damaged", entry.plan.empty()}});
  return rows;
}

/// Where the cache is; fails where nothing says it.
static Result<std::string> directory() {
  std::string path = cacheDirectory();
  if (path.empty())
    return Status(StatusCode::NotFound, "the cache has no directory: none of ATTN_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
  return path;
}

static Status list(bool json) {
  if (Result<std::string> path = directory(); !path)
    return path.status();
  Result<std::vector<CacheEntry>> entries = listCache();
  if (!entries)
    return entries.status();
  if (json) {
    fmt::print("{}\n", toJson(*entries).dump(2));
    return {};
  }
  std::uint64_t bytes = 0;
  for (const CacheEntry &entry : *entries) {
    fmt::print("{}  {:8} {:>9}  {:%Y-%m-%d %H:%M}  {}\n", entry.key, entry.target, entry.bytes,
               fmt::localtime(std::chrono::system_clock::to_time_t(entry.lastUsed)), entry.plan.empty() ? "(damaged)" : entry.plan);
    bytes += entry.bytes;
  }
  fmt::print("{} kernel{}, {} bytes in {}\n", entries->size(), entries->size() == 1 ? "" : "s", bytes, cacheDirectory());
  return {};
}

static Status clear() {
  if (Result<std::string> path = directory(); !path)
    return path.status();
  Result<CacheCleared> cleared = clearCache();
  if (!cleared)
    return cleared.status();
  fmt::print("{} kernel{} removed, {} bytes\n", cleared->entries, cleared->entries == 1 ? "" : "s", cleared->bytes);
  return {};
}

static Status printPath() {
  Result<std::string> path = directory();
  if (!path)
    return path.status();
  fmt::print("{}\n", *path);
  return {};
}

void addCacheCommand(CLI::App &app, int &exitCode) {
  CLI::App *command = app.add_subcommand("cache", "the disk cache of compiled kernels");
  command->require_subcommand(1);
  auto json = std::make_shared<bool>(false);
  CLI::App *listing = command->add_subcommand("list", "what it holds");
  listing->add_flag("--json", *json, "for machines");
  listing->callback([json, &exitCode] {
    if (Status status = list(*json); !status)
      exitCode = fail(status);
  });
  command->add_subcommand("clear", "remove every entry")->callback([&exitCode] {
    if (Status status = clear(); !status)
      exitCode = fail(status);
  });
  command->add_subcommand("path", "where it is")->callback([&exitCode] {
    if (Status status = printPath(); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
