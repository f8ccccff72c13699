#include "attn/Attn.h"
#include "runtime/package/PackageFormat.h"
#include "tests/unit/runtime/AffineKernel.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

namespace attn {

static Package example() {
  Package package;
  package.setSource("attention affine { }\n");
  std::vector<std::byte> cubin(37, std::byte{0x5a});
  EXPECT_TRUE(package.add(testing::affineManifest(), testing::kAffinePtx, cubin));
  EXPECT_TRUE(package.add(testing::affineManifest("256", "sm_90a"), "// for sm_90a\n"));
  return package;
}

TEST(Package, RoundTrips) {
  std::vector<std::byte> bytes = example().serialize();
  auto package = Package::parse(bytes);
  ASSERT_TRUE(package) << package.status().message();
  ASSERT_EQ(package->entries().size(), 2u);
  EXPECT_EQ(package->entries()[0].plan, "affine");
  EXPECT_EQ(package->entries()[0].target, "sm_80");
  EXPECT_EQ(package->entries()[0].ptx, testing::kAffinePtx);
  EXPECT_EQ(package->entries()[0].manifestJson, testing::affineManifest());
  EXPECT_EQ(package->entries()[0].cubin.size(), 37u);
  EXPECT_EQ(package->entries()[1].target, "sm_90a");
  EXPECT_TRUE(package->entries()[1].cubin.empty());
  EXPECT_EQ(package->source(), "attention affine { }\n");
  EXPECT_EQ(package->producer(), "attnc " ATTN_VERSION);
  EXPECT_EQ(package->serialize(), bytes);
}

TEST(Package, RefusesDuplicatesAndBadManifests) {
  Package package = example();
  EXPECT_EQ(package.add(testing::affineManifest(), "").message(), "the package has plan `affine` for sm_80 already");
  EXPECT_EQ(package.add("[]", "").message(), "manifest: /: expects an object, but got array");
}

TEST(Package, EveryTruncationIsRefused) {
  std::vector<std::byte> bytes = example().serialize();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    auto package = Package::parse(std::span(bytes).first(length), "p.pkg");
    ASSERT_FALSE(package) << length;
    EXPECT_EQ(package.status().code(), StatusCode::Corrupt);
    EXPECT_EQ(package.status().message().find("p.pkg: "), 0u);
    EXPECT_EQ(package.status().message().find('\n'), std::string::npos);
  }
  EXPECT_EQ(Package::parse(std::span(bytes).first(100), "p.pkg").status().message(),
            "p.pkg: truncated: 100 bytes of " + std::to_string(bytes.size()));
}

TEST(Package, EveryChangedByteIsRefused) {
  const std::vector<std::byte> bytes = example().serialize();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::vector<std::byte> damaged = bytes;
    damaged[i] ^= std::byte{0x10};
    EXPECT_FALSE(Package::parse(damaged)) << "byte " << i;
  }
}

TEST(Package, RandomBytesAfterTheMagicNeverCrash) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(random() % 400);
    for (std::byte &byte : bytes)
      byte = static_cast<std::byte>(random());
    if (bytes.size() >= 24) {
      std::copy_n(reinterpret_cast<const std::byte *>(package::kMagic.data()), 8, bytes.begin());
      package::storeNumber(&bytes[8], package::kVersion);
      package::storeNumber(&bytes[16], std::uint64_t{bytes.size()});
    }
    EXPECT_FALSE(Package::parse(bytes));
  }
}

TEST(Package, SaysWhatIsWrong) {
  std::vector<std::byte> bytes = example().serialize();
  auto message = [&](std::vector<std::byte> changed) { return Package::parse(changed, "p").status().message(); };
  EXPECT_EQ(message({}), "p: not a package (the magic bytes are missing)");
  std::vector<std::byte> other = bytes;
  package::storeNumber(&other[8], std::uint32_t{7});
  EXPECT_EQ(message(other), "p: format version 7; this program reads version 1");
  other = bytes;
  other.push_back(std::byte{0});
  EXPECT_EQ(message(other), "p: 1 bytes after the end of the package");
  other = bytes;
  package::storeNumber(&other[12], std::uint32_t{60000});
  EXPECT_EQ(message(other), "p: corrupt: a table of 60000 sections in " + std::to_string(bytes.size()) + " bytes");
  other = bytes;
  other[40] ^= std::byte{1};
  EXPECT_EQ(message(other), "p: corrupt: the section table does not have its checksum");
  other = bytes;
  other[bytes.size() - 16] ^= std::byte{1};
  EXPECT_NE(message(other).find("the contents do not have their checksum"), std::string::npos);
  EXPECT_EQ(Package::read("/").status().message(), "/: is a directory");
  EXPECT_EQ(Package::read("/nonexistent/p.pkg").status().message(),
            "/nonexistent/p.pkg: cannot be opened: No such file or directory");
}

TEST(Package, LoadsTheBestCodeForTheDevice) {
  Package package = example();
  auto device = Device::open("null");
  auto module = Module::load(*device, package);
  ASSERT_TRUE(module) << module.status().message();
  EXPECT_EQ(module->planNames(), std::vector<std::string>{"affine"});
  EXPECT_EQ(module->plan("affine")->target(), "sm_80");
  auto hopper = Device::open("null", {.target = "sm_90a"});
  EXPECT_EQ(Module::load(*hopper, package)->plan("affine").status().message(),
            "loading `affine`: `affine` has no kernel `affine`"); // the stand-in for sm_90a was chosen
  Package onlyHopper;
  ASSERT_TRUE(onlyHopper.add(testing::affineManifest("256", "sm_90a"), ""));
  EXPECT_EQ(Module::load(*device, onlyHopper).status().message(),
            "plan `affine`: the package has code for sm_90a, none of which runs on `null` (checks only, limits of sm_80)");
}

TEST(Package, WritesWholeFilesOrNothing) {
  std::string directory = ::testing::TempDir() + "attn_package_test";
  std::filesystem::create_directories(directory);
  std::string path = directory + "/a.pkg";
  ASSERT_TRUE(example().write(path));
  EXPECT_TRUE(Package::read(path));
  Status status = example().write(directory + "/missing/a.pkg");
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1);
  std::filesystem::remove_all(directory);
}

// Files of a released format stay readable: this one was written by version 0.1.0.
TEST(Package, GoldenFileOfVersionOneIsReadable) {
  const std::string path = ATTN_SOURCE_DIR "/tests/golden/package/v1/affine.pkg";
  auto package = Package::read(path);
  ASSERT_TRUE(package) << package.status().message();
  ASSERT_EQ(package->entries().size(), 2u);
  EXPECT_EQ(package->entries()[0].target, "sm_80");
  EXPECT_EQ(package->entries()[0].ptx.find(".version 7.0"), 0u);
  EXPECT_EQ(package->entries()[0].cubin, std::vector<std::byte>(37, std::byte{0x5a}));
  EXPECT_EQ(package->source(), "attention affine { }\n");
  EXPECT_EQ(package->producer(), "attnc 0.1.0");
  auto device = Device::open("null");
  EXPECT_TRUE(Module::load(*device, *package)->plan("affine"));
}

} // namespace attn
