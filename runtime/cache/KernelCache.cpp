#include "runtime/cache/KernelCache.h"

#include <fmt/format.h>

#include <utility>

namespace attn::cache {

Result<KernelCache::Kernel> KernelCache::get(const Hash128 &key, const DiskCache *disk, const Make &make,
                                             const Note &note) {
  std::unique_lock lock(mutex);
  if (auto found = index.find(key); found != index.end()) {
    recent.splice(recent.begin(), recent, found->second);
    return recent.front().second;
  }
  if (auto found = pending.find(key); found != pending.end()) {
    std::shared_ptr<Pending> other = found->second;
    finished.wait(lock, [&] { return other->done; });
    return other->outcome;
  }
  auto own = std::make_shared<Pending>();
  pending.emplace(key, own);
  lock.unlock();
  Result<Kernel> outcome = findOrMake(key, disk, make, note);
  lock.lock();
  if (outcome)
    remember(key, *outcome);
  own->outcome = outcome;
  own->done = true;
  pending.erase(key);
  finished.notify_all();
  return outcome;
}

Result<KernelCache::Kernel> KernelCache::findOrMake(const Hash128 &key, const DiskCache *disk, const Make &make,
                                                    const Note &note) {
  if (disk)
    if (auto stored = disk->find(key))
      return Kernel(std::make_shared<const StoredKernel>(std::move(*stored)));
  Result<StoredKernel> made = Status(StatusCode::Internal, "compilation ended without an outcome");
  try {
    made = make();
  } catch (const std::exception &error) { // those who wait must hear of it too
    made = Status(StatusCode::Internal, fmt::format("compilation failed: {}", error.what()));
  }
  if (!made)
    return made.status();
  if (disk) {
    if (Status status = disk->store(key, *made); !status && note) {
      std::unique_lock lock(mutex);
      bool first = notedDirectories.insert(disk->path()).second;
      lock.unlock();
      if (first)
        note(fmt::format("kernels are not kept on disk: {}", status.message()));
    }
  }
  return Kernel(std::make_shared<const StoredKernel>(std::move(*made)));
}

void KernelCache::remember(const Hash128 &key, Kernel kernel) {
  recent.emplace_front(key, std::move(kernel));
  index[key] = recent.begin();
  while (recent.size() > capacity) {
    index.erase(recent.back().first);
    recent.pop_back();
  }
}

void KernelCache::clear() {
  std::lock_guard lock(mutex);
  index.clear();
  recent.clear();
}

} // namespace attn::cache
