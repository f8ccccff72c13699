// Kernels by key in memory, over a directory: each is made once, whoever asks and however many ask at a time.
#pragma once

#include "runtime/cache/DiskCache.h"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace attn::cache {

/// Thread-safe. Holds the last `capacity` kernels in memory.
class KernelCache {
public:
  using Kernel = std::shared_ptr<const StoredKernel>;
  using Make = std::function<Result<StoredKernel>()>;
  using Note = std::function<void(std::string_view)>;

  explicit KernelCache(std::size_t capacity = 256) : capacity(capacity) {}

  /// From memory, else from `disk` (if given), else by `make`, whose result is kept in both. While one thread makes a
  /// kernel, others that ask for it wait for the outcome; a failure is given to those who waited and not kept.
  /// `note` is told once for each directory that it cannot be written.
  Result<Kernel> get(const Hash128 &key, const DiskCache *disk, const Make &make, const Note &note);

  void clear();

private:
  /// A kernel in the making. Shared by those who wait for it.
  struct Pending {
    bool done = false;
    Result<Kernel> outcome = Status(StatusCode::Internal, "a kernel was not made");
  };

  Result<Kernel> findOrMake(const Hash128 &key, const DiskCache *disk, const Make &make, const Note &note);
  void remember(const Hash128 &key, Kernel kernel);

  const std::size_t capacity;
  std::mutex mutex; // of all below
  std::condition_variable finished;
  std::map<Hash128, std::shared_ptr<Pending>> pending;
  std::list<std::pair<Hash128, Kernel>> recent; // most recently used first
  std::map<Hash128, std::list<std::pair<Hash128, Kernel>>::iterator> index;
  std::set<std::string> notedDirectories;
};

} // namespace attn::cache
