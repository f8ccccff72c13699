// Compiled kernels in a directory, one file each, shared by all processes of a user.
//
// An entry is a package (docs/package_format.md) of one plan whose source field names the key (and holds the compiler's
// warnings), in a file called by the key. A second name of a kernel is a file of one line, `KEY OTHER-KEY`. Files are
// published by renaming, so readers see all or nothing; what is damaged or belongs elsewhere counts as absent. The least
// recently used entries go when the directory grows past its limit.
#pragma once

#include "attn/Cache.h"
#include "attn/Package.h"
#include "support/Hash.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace attn::cache {

struct StoredKernel {
  std::string manifestJson;
  std::string ptx;
  std::string warnings = {};            ///< of the compiler, rendered; empty if none
  std::optional<Hash128> sameAs = {};   ///< the key that the kernel is stored under already; another is only a name
};

class DiskCache {
public:
  /// Nothing is touched until the first use.
  DiskCache(std::string directory, std::uint64_t limitBytes)
      : directory(std::move(directory)), limitBytes(limitBytes) {}

  /// By the environment; nothing when ATTN_CACHE is off or there is no place for one. Fails on a bad setting.
  static Result<std::optional<DiskCache>> fromEnvironment();

  /// Under its key or a second name. Marks the entry as used.
  std::optional<StoredKernel> find(const Hash128 &key) const;
  /// A failure (a directory that cannot be written, a full disk) leaves the cache usable.
  Status store(const Hash128 &key, const StoredKernel &kernel) const;
  const std::string &path() const { return directory; }

private:
  std::optional<StoredKernel> findEntry(const Hash128 &key) const;
  Status publish(const std::string &fileName, std::span<const std::byte> bytes) const;
  void evict(const std::string &keep) const;

  std::string directory;
  std::uint64_t limitBytes;
};

} // namespace attn::cache
