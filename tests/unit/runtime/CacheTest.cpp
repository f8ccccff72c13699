#include "attn/Cache.h"
#include "runtime/cache/CacheKey.h"
#include "runtime/cache/DiskCache.h"
#include "runtime/cache/KernelCache.h"
#include "tests/unit/runtime/AffineKernel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace attn::cache {

namespace fs = std::filesystem;

namespace {

class CacheTest : public ::testing::Test {
protected:
  void SetUp() override {
    directory = ::testing::TempDir() + "attn_cache_" + std::to_string(::getpid()) + "_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::permissions(directory, fs::perms::owner_all, ignored);
    fs::remove_all(directory);
  }
  static Hash128 key(std::string_view text) { return cacheKey({.canonicalText = text, .target = "sm_80"}); }
  static StoredKernel kernel(std::size_t padding = 0) {
    return {testing::affineManifest(), testing::kAffinePtx + std::string(padding, ' ')};
  }
  std::size_t fileCount() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
  }

  std::string directory;
};

} // namespace

TEST(CacheKey, DependsOnEverything) {
  CacheKeyFields base{.canonicalText = "text", .target = "sm_80", .schedule = "", .version = "1"};
  Hash128 first = cacheKey(base);
  EXPECT_EQ(cacheKey(base), first);
  auto differs = [&](auto change) {
    CacheKeyFields fields = base;
    change(fields);
    return cacheKey(fields) != first;
  };
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.canonicalText = "texts"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.target = "sm_86"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.schedule = "stages=2"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.defines["n"] = "4"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.checked = true; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.tf32 = true; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.approximateTanh = true; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.version = "2"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.attention = "b"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.stage = "tile"; }));
  EXPECT_TRUE(differs([](CacheKeyFields &f) { f.fileName = "other.attn"; }));
}

TEST_F(CacheTest, StoresAndFinds) {
  DiskCache cache(directory, 1 << 20);
  EXPECT_FALSE(cache.find(key("a")));
  ASSERT_TRUE(cache.store(key("a"), kernel()));
  auto found = cache.find(key("a"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ptx, testing::kAffinePtx);
  EXPECT_EQ(found->manifestJson, testing::affineManifest());
  EXPECT_FALSE(cache.find(key("b")));
  EXPECT_EQ(fileCount(), 1u);
}

TEST_F(CacheTest, DamagedAndForeignEntriesAreAbsent) {
  DiskCache cache(directory, 1 << 20);
  ASSERT_TRUE(cache.store(key("a"), kernel()));
  fs::path file = fs::directory_iterator(directory)->path();
  fs::copy_file(file, fs::path(directory) / (key("b").hex() + ".attnkernel"));
  EXPECT_FALSE(cache.find(key("b"))); // it says that it belongs to `a`
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_FALSE(cache.find(key("a")));
  std::ofstream(file, std::ios::trunc) << "rubbish";
  EXPECT_FALSE(cache.find(key("a")));
  ASSERT_TRUE(cache.store(key("a"), kernel()));
  EXPECT_TRUE(cache.find(key("a")));
}

TEST_F(CacheTest, KeepsWarnings) {
  DiskCache cache(directory, 1 << 20);
  StoredKernel warned = kernel();
  warned.warnings = "a.attn:1:1: warning: something\n";
  ASSERT_TRUE(cache.store(key("a"), warned));
  ASSERT_TRUE(cache.store(key("b"), kernel()));
  EXPECT_EQ(cache.find(key("a"))->warnings, warned.warnings);
  EXPECT_EQ(cache.find(key("b"))->warnings, "");
}

TEST_F(CacheTest, SecondNamesLeadToAKernelAndAreNoKernels) {
  DiskCache cache(directory, 1 << 20);
  StoredKernel second = kernel();
  second.sameAs = key("meaning");
  ASSERT_TRUE(cache.store(key("text"), second));
  EXPECT_FALSE(cache.find(key("text"))); // it leads nowhere
  ASSERT_TRUE(cache.store(key("meaning"), kernel()));
  auto found = cache.find(key("text"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ptx, testing::kAffinePtx);
  EXPECT_EQ(found->sameAs, key("meaning"));
  EXPECT_EQ(listCache(directory)->size(), 1u);
  fs::path name = fs::path(directory) / (key("text").hex() + ".attnname");
  fs::copy_file(name, fs::path(directory) / (key("foreign").hex() + ".attnname"));
  EXPECT_FALSE(cache.find(key("foreign"))); // it says that it belongs to `text`
  for (std::string damaged : {"", "rubbish"}) {
    std::ofstream(name, std::ios::trunc) << damaged;
    EXPECT_FALSE(cache.find(key("text")));
  }
  EXPECT_EQ(clearCache(directory)->entries, 1u);
  EXPECT_EQ(fileCount(), 0u);
}

TEST_F(CacheTest, ListsAndClearsOnlyItsOwnFiles) {
  EXPECT_EQ(listCache(directory)->size(), 0u); // an absent directory is an empty cache
  EXPECT_EQ(clearCache(directory)->entries, 0u);
  DiskCache cache(directory, 1 << 20);
  ASSERT_TRUE(cache.store(key("a"), kernel()));
  ASSERT_TRUE(cache.store(key("b"), kernel()));
  std::ofstream(directory + "/notes.txt") << "mine";
  std::ofstream(directory + "/" + key("c").hex() + ".attnkernel") << "rubbish";
  std::ofstream(directory + "/" + key("c").hex() + ".attnkernel.tmp-1-0") << "half";
  auto entries = listCache(directory);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ(std::count_if(entries->begin(), entries->end(), [](const CacheEntry &e) { return e.plan == "affine"; }), 2);
  auto cleared = clearCache(directory);
  ASSERT_TRUE(cleared);
  EXPECT_EQ(cleared->entries, 3u);
  EXPECT_GT(cleared->bytes, 2000u);
  EXPECT_EQ(fileCount(), 1u);
  EXPECT_TRUE(fs::exists(directory + "/notes.txt"));
}

TEST_F(CacheTest, TheLeastRecentlyUsedGoFirst) {
  ASSERT_TRUE(DiskCache(directory, 1 << 20).store(key("old"), kernel(4096)));
  ASSERT_TRUE(DiskCache(directory, 1 << 20).store(key("used"), kernel(4096)));
  for (const auto &file : fs::directory_iterator(directory))
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_TRUE(DiskCache(directory, 1 << 20).find(key("used")));
  DiskCache small(directory, 20000); // two entries of some 8 KiB fit, three do not
  ASSERT_TRUE(small.store(key("new"), kernel(4096)));
  EXPECT_FALSE(small.find(key("old")));
  EXPECT_TRUE(small.find(key("used")));
  EXPECT_TRUE(small.find(key("new")));
  DiskCache tiny(directory, 1);
  ASSERT_TRUE(tiny.store(key("newest"), kernel()));
  EXPECT_TRUE(tiny.find(key("newest"))); // what was just stored stays
  EXPECT_EQ(fileCount(), 1u);
}

TEST_F(CacheTest, MakesOnceAndKeepsInMemory) {
  KernelCache cache;
  int made = 0;
  auto make = [&]() -> Result<StoredKernel> { ++made; return kernel(); };
  ASSERT_TRUE(cache.get(key("a"), nullptr, make, {}));
  ASSERT_TRUE(cache.get(key("a"), nullptr, make, {}));
  EXPECT_EQ(made, 1);
  DiskCache disk(directory, 1 << 20);
  ASSERT_TRUE(cache.get(key("b"), &disk, make, {}));
  cache.clear();
  ASSERT_TRUE(cache.get(key("b"), &disk, make, {}));
  EXPECT_EQ(made, 2);
}

TEST_F(CacheTest, HoldsOnlySoManyInMemory) {
  KernelCache cache(2);
  int made = 0;
  auto make = [&]() -> Result<StoredKernel> { ++made; return kernel(); };
  for (const char *text : {"a", "b", "a", "c", "a", "b"}) // `b` left for `c`
    ASSERT_TRUE(cache.get(key(text), nullptr, make, {}));
  EXPECT_EQ(made, 4);
}

TEST_F(CacheTest, ThreadsThatAskForOneKernelMakeItOnce) {
  KernelCache cache;
  std::atomic<int> made{0}, failures{0};
  auto make = [&]() -> Result<StoredKernel> {
    ++made;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return kernel();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { failures += cache.get(key("a"), nullptr, make, {}) ? 0 : 1; });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(failures, 0);
}

TEST_F(CacheTest, FailuresAreReportedAndNotKept) {
  KernelCache cache;
  auto fail = []() -> Result<StoredKernel> { return Status(StatusCode::CompileError, "no"); };
  EXPECT_EQ(cache.get(key("a"), nullptr, fail, {}).status().message(), "no");
  EXPECT_TRUE(cache.get(key("a"), nullptr, [] { return Result<StoredKernel>(kernel()); }, {}));
  auto raise = []() -> Result<StoredKernel> { throw std::runtime_error("out of luck"); };
  EXPECT_EQ(cache.get(key("b"), nullptr, raise, {}).status().message(), "compilation failed: out of luck");
}

TEST_F(CacheTest, WorksWithoutAWritableDirectoryAndSaysSoOnce) {
  std::ofstream(directory) << "a file where the directory should be";
  DiskCache disk(directory, 1 << 20);
  KernelCache cache;
  std::vector<std::string> notes;
  auto note = [&](std::string_view text) { notes.emplace_back(text); };
  auto make = []() -> Result<StoredKernel> { return kernel(); };
  EXPECT_TRUE(cache.get(key("a"), &disk, make, note));
  EXPECT_TRUE(cache.get(key("b"), &disk, make, note));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].find("kernels are not kept on disk: cache: "), 0u) << notes[0];
}

TEST_F(CacheTest, EnvironmentDecidesPlaceAndUse) {
  ::setenv("ATTN_CACHE_DIR", directory.c_str(), 1);
  EXPECT_EQ(cacheDirectory(), directory);
  auto cache = DiskCache::fromEnvironment();
  ASSERT_TRUE(cache && *cache);
  EXPECT_EQ((**cache).path(), directory);
  ::setenv("ATTN_CACHE", "off", 1);
  EXPECT_FALSE(*DiskCache::fromEnvironment());
  ::setenv("ATTN_CACHE", "of", 1);
  EXPECT_EQ(DiskCache::fromEnvironment().status().message(), "ATTN_CACHE: expects one of on, off, but got `of`");
  ::unsetenv("ATTN_CACHE");
  ::setenv("ATTN_CACHE_LIMIT_MB", "many", 1);
  EXPECT_EQ(DiskCache::fromEnvironment().status().message(),
            "ATTN_CACHE_LIMIT_MB: expects a whole number, but got `many`");
  ::unsetenv("ATTN_CACHE_LIMIT_MB");
  ::unsetenv("ATTN_CACHE_DIR");
  ::setenv("XDG_CACHE_HOME", "/var/tmp/caches", 1);
  EXPECT_EQ(cacheDirectory(), "/var/tmp/caches/attnc");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(cacheDirectory(), "/home/someone/.cache/attnc");
  ::unsetenv("XDG_CACHE_HOME");
}

} // namespace attn::cache
