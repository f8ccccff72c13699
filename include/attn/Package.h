// Packages: compiled specifications in a file, for several targets, loadable without a compiler.
#pragma once

#include "attn/Result.h"
#include "attn/Status.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

/// One plan for one target.
struct PackageEntry {
  std::string plan;
  std::string target;
  std::string manifestJson;
  std::string ptx;
  std::vector<std::byte> cubin; ///< empty when none was made
};

/// The contents of a package file (docs/package_format.md). A value.
///
///     Result<Package> package = Package::read("attention.pkg");
///     for (const PackageEntry &entry : package->entries()) …
class Package {
public:
  static Result<Package> read(const std::string &path);
  /// Refuses what is truncated, damaged or of another version; `name` begins the message.
  static Result<Package> parse(std::span<const std::byte> bytes, std::string_view name = "package");

  /// Writes to a temporary name and renames, so no reader sees half a file.
  Status write(const std::string &path) const;
  std::vector<std::byte> serialize() const;

  /// Refuses a manifest that does not parse, and a second entry for the same plan and target. Plan and target are
  /// taken from the manifest.
  Status add(std::string_view manifestJson, std::string_view ptx, std::span<const std::byte> cubin = {});
  void setSource(std::string text) { sourceText = std::move(text); }

  const std::vector<PackageEntry> &entries() const { return list; }
  /// The specifications' text.
  const std::string &source() const { return sourceText; }
  /// Version of the program that wrote the file.
  const std::string &producer() const { return producerText; }

private:
  std::vector<PackageEntry> list;
  std::string sourceText, producerText;
};

} // namespace attn
