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

static Status list(bool json) {
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
  Result<CacheCleared> cleared = clearCache();
  if (!cleared)
    return cleared.status();
  fmt::print("{} kernel{} removed, {} bytes\n", cleared->entries, cleared->entries == 1 ? "" : "s", cleared->bytes);
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
  command->add_subcommand("path", "where it is")->callback([] { fmt::print("{}\n", cacheDirectory()); });
}

} // namespace attn::tools
