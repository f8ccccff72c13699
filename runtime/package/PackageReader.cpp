// Reads packages. The bytes may be anything: every size, offset and checksum is checked before what it speaks of is used.
#include "attn/Package.h"
#include "runtime/manifest/KernelManifest.h"
#include "runtime/package/PackageFormat.h"
#include "support/Hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace attn {

using package::SectionKind;

namespace {

struct Section {
  SectionKind kind;
  std::uint32_t entry;
  std::span<const std::byte> contents;
};

/// What the sections of one entry, and those of the whole file, amount to.
struct Parts {
  std::optional<std::string> manifest, ptx;
  std::optional<std::vector<std::byte>> cubin;
};

class PackageParser {
public:
  explicit PackageParser(std::span<const std::byte> bytes) : bytes(bytes) {}

  /// Empty on success; else what is wrong.
  std::string readSections() {
    if (std::string wrong = checkHeader(); !wrong.empty())
      return wrong;
    std::uint64_t expectedOffset = package::kHeaderBytes + std::uint64_t{sectionCount} * package::kTableRowBytes;
    for (std::uint32_t i = 0; i < sectionCount; ++i)
      if (std::string wrong = readSection(i, expectedOffset); !wrong.empty())
        return fmt::format("section {}: {}", i, wrong);
    return expectedOffset == bytes.size() ? "" : "bytes after the last section";
  }
  const std::vector<Section> &sections() const { return list; }

private:
  std::string checkHeader() {
    if (bytes.size() < package::kMagic.size() ||
        std::memcmp(bytes.data(), package::kMagic.data(), package::kMagic.size()) != 0)
      return "not a package (the magic bytes are missing)";
    if (bytes.size() < package::kHeaderBytes)
      return fmt::format("truncated: {} bytes, and the header alone has {}", bytes.size(), package::kHeaderBytes);
    auto version = package::loadNumber<std::uint32_t>(&bytes[8]);
    if (version != package::kVersion)
      return fmt::format("format version {}; this program reads version {}", version, package::kVersion);
    auto size = package::loadNumber<std::uint64_t>(&bytes[16]);
    if (bytes.size() < size)
      return fmt::format("truncated: {} bytes of {}", bytes.size(), size);
    if (bytes.size() > size)
      return fmt::format("{} bytes after the end of the package", bytes.size() - size);
    sectionCount = package::loadNumber<std::uint32_t>(&bytes[12]);
    if (sectionCount > package::kMaxSections ||
        std::uint64_t{sectionCount} * package::kTableRowBytes > size - package::kHeaderBytes)
      return fmt::format("corrupt: a table of {} sections in {} bytes", sectionCount, size);
    auto table = bytes.subspan(package::kHeaderBytes, std::size_t{sectionCount} * package::kTableRowBytes);
    if (checksum(table) != package::loadNumber<std::uint64_t>(&bytes[24]))
      return "corrupt: the section table does not have its checksum";
    return {};
  }

  std::string readSection(std::uint32_t index, std::uint64_t &expectedOffset) {
    const std::byte *row = &bytes[package::kHeaderBytes + std::size_t{index} * package::kTableRowBytes];
    auto kind = package::loadNumber<std::uint32_t>(row);
    auto offset = package::loadNumber<std::uint64_t>(row + 8), size = package::loadNumber<std::uint64_t>(row + 16);
    if (kind < static_cast<std::uint32_t>(SectionKind::Manifest) ||
        kind > static_cast<std::uint32_t>(SectionKind::Producer))
      return fmt::format("unknown kind {}", kind);
    if (offset != expectedOffset || size > bytes.size() - offset || package::aligned(offset + size) > bytes.size())
      return fmt::format("corrupt: {} bytes at {} of a file of {}", size, offset, bytes.size());
    auto contents = bytes.subspan(offset, size);
    if (checksum(contents) != package::loadNumber<std::uint64_t>(row + 24))
      return "corrupt: the contents do not have their checksum";
    expectedOffset = package::aligned(offset + size);
    auto padding = bytes.subspan(offset + size, expectedOffset - offset - size);
    if (std::any_of(padding.begin(), padding.end(), [](std::byte b) { return b != std::byte{0}; }))
      return "corrupt: the padding is not zero";
    list.push_back({static_cast<SectionKind>(kind), package::loadNumber<std::uint32_t>(row + 4), contents});
    return {};
  }

  std::span<const std::byte> bytes;
  std::uint32_t sectionCount = 0;
  std::vector<Section> list;
};

} // namespace

static std::string asText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// Sorts a section into place; false when its place is taken.
static bool place(const Section &section, std::vector<Parts> &entries, std::optional<std::string> &source,
                  std::optional<std::string> &producer) {
  auto once = [&](auto &slot, auto value) {
    bool free = !slot;
    slot = std::move(value);
    return free;
  };
  switch (section.kind) {
  case SectionKind::Source: return section.entry == 0 && once(source, asText(section.contents));
  case SectionKind::Producer: return section.entry == 0 && once(producer, asText(section.contents));
  default: break;
  }
  if (section.entry > entries.size())
    return false; // entries are counted, none is left out
  if (section.entry == entries.size())
    entries.emplace_back();
  Parts &parts = entries[section.entry];
  switch (section.kind) {
  case SectionKind::Manifest: return once(parts.manifest, asText(section.contents));
  case SectionKind::Ptx: return once(parts.ptx, asText(section.contents));
  default:
    return once(parts.cubin, std::vector<std::byte>(section.contents.begin(), section.contents.end()));
  }
}

Result<Package> Package::parse(std::span<const std::byte> bytes, std::string_view name) {
  auto corrupt = [&](std::string_view message) {
    return Status(StatusCode::Corrupt, fmt::format("{}: {}", name, message));
  };
  PackageParser parser(bytes);
  if (std::string wrong = parser.readSections(); !wrong.empty())
    return corrupt(wrong);
  std::vector<Parts> entries;
  std::optional<std::string> source, producer;
  for (const Section &section : parser.sections())
    if (!place(section, entries, source, producer))
      return corrupt("corrupt: sections that do not belong together");
  if (!source || !producer)
    return corrupt("corrupt: the source or the producer is missing");
  Package package;
  package.sourceText = std::move(*source);
  for (const Parts &parts : entries) {
    if (!parts.manifest || !parts.ptx)
      return corrupt("corrupt: an entry without manifest or PTX");
    std::span<const std::byte> cubin;
    if (parts.cubin)
      cubin = *parts.cubin;
    if (Status status = package.add(*parts.manifest, *parts.ptx, cubin); !status)
      return corrupt(status.message());
  }
  package.producerText = std::move(*producer);
  return package;
}

Result<Package> Package::read(const std::string &path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) // which a stream opens, with a size of its own
    return Status(StatusCode::IoError, fmt::format("{}: is a directory", path));
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0)
    return Status(StatusCode::NotFound, fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  if (static_cast<std::uint64_t>(size) > package::kMaxFileBytes)
    return Status(StatusCode::Corrupt, fmt::format("{}: {} bytes; the limit is {}", path, size, package::kMaxFileBytes));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char *>(bytes.data()), size))
    return Status(StatusCode::IoError, fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  return parse(bytes, path);
}

} // namespace attn
