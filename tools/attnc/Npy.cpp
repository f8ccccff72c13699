// NumPy's .npy: "\x93NUMPY", version, header length, a Python dictionary literal, then raw elements.
// Format: numpy/doc/neps/nep-0001-npy-format.
#include "tools/attnc/TensorFile.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <regex>

namespace attn::tools {

namespace {
struct NpyType {
  std::string_view descr;
  ElementType type;
  unsigned bytes;
};
} // namespace

static constexpr NpyType kTypes[] = {
    {"f8", ElementType::F64, 8}, {"f4", ElementType::F32, 4}, {"f2", ElementType::F16, 2}, {"V2", ElementType::BF16, 2},
    {"i4", ElementType::I32, 4}, {"i2", ElementType::I16, 2}, {"i1", ElementType::I8, 1},  {"b1", ElementType::Bool, 1},
    {"i8", ElementType::I32, 8}, {"u4", ElementType::I32, 4}, {"u1", ElementType::I32, 1},
};

static Status malformed(std::string_view what) {
  return Status(StatusCode::InvalidArgument, fmt::format("not a readable .npy file: {}", what));
}

/// Widens or narrows stored integers of another width to i32. Empty when a value does not fit.
static std::optional<std::vector<std::byte>> integersToI32(std::string_view data, std::string_view descr, std::int64_t count) {
  std::vector<std::byte> out(static_cast<std::size_t>(count) * 4);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t value = 0;
    if (descr == "i8") {
      std::memcpy(&value, data.data() + i * 8, 8);
    } else if (descr == "u4") {
      std::uint32_t word;
      std::memcpy(&word, data.data() + i * 4, 4);
      value = word;
    } else {
      value = static_cast<std::uint8_t>(data[static_cast<std::size_t>(i)]);
    }
    if (descr != "u4" && (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max()))
      return std::nullopt;
    auto narrow = static_cast<std::int32_t>(value);       // u4 keeps its bits: words of `bit` rows come this way
    std::memcpy(out.data() + i * 4, &narrow, 4);
  }
  return out;
}

/// Column-major to row-major.
static std::vector<std::byte> fromFortran(std::string_view data, const std::vector<std::int64_t> &shape, unsigned size) {
  std::vector<std::byte> out(data.size());
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::size_t flat = 0; flat * size < data.size(); ++flat) {
    std::int64_t offset = 0, stride = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      offset += index[d] * stride;
      stride *= shape[d];
    }
    std::memcpy(out.data() + flat * size, data.data() + offset * size, size);
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
  return out;
}

Result<HostTensor> parseNpy(std::string_view bytes) {
  if (bytes.size() < 10 || bytes.substr(0, 6) != "\x93NUMPY")
    return malformed("it does not begin with NumPy's signature");
  unsigned major = static_cast<std::uint8_t>(bytes[6]);
  if (major < 1 || major > 3)
    return malformed(fmt::format("format version {}", major));
  std::size_t prefix = major == 1 ? 10 : 12;
  if (bytes.size() < prefix)
    return malformed("it ends within its header");
  std::uint32_t headerLength = 0;
  std::memcpy(&headerLength, bytes.data() + 8, major == 1 ? 2 : 4);
  if (bytes.size() - prefix < headerLength)
    return malformed("it ends within its header");
  std::string header(bytes.substr(prefix, headerLength));
  std::string_view data = bytes.substr(prefix + headerLength);

  std::smatch match;
  if (!std::regex_search(header, match, std::regex(R"('descr'\s*:\s*'([<>|=]?)([A-Za-z]\d+)')")))
    return malformed("its element type is a structure or missing");
  std::string order = match[1], descr = match[2];
  const NpyType *type = nullptr;
  for (const NpyType &candidate : kTypes)
    if (candidate.descr == descr)
      type = &candidate;
  if (!type)
    return malformed(fmt::format("element type `{}` (known: f8 f4 f2 V2 i8 i4 i2 i1 u4 u1 b1)", descr));
  if (order == ">")
    return malformed("big-endian elements");
  bool fortran = std::regex_search(header, std::regex(R"('fortran_order'\s*:\s*True)"));
  if (!std::regex_search(header, match, std::regex(R"('shape'\s*:\s*\(([^)]*)\))")))
    return malformed("it has no shape");

  HostTensor tensor;
  tensor.type = type->type;
  std::int64_t count = 1;
  std::string dims = match[1];
  std::regex digits(R"(\d+)");
  for (std::sregex_iterator it(dims.begin(), dims.end(), digits), end; it != end; ++it) {
    if (it->str().size() > 12)
      return malformed("a dimension is too large");
    std::int64_t dim = std::stoll(it->str());
    tensor.shape.push_back(dim);
    if (dim && count > std::numeric_limits<std::int64_t>::max() / 16 / dim)
      return malformed("its shape is too large");
    count *= dim;
  }
  if (data.size() != static_cast<std::size_t>(count) * type->bytes)
    return malformed(fmt::format("shape ({}) takes {} bytes, the file holds {}", dims, count * type->bytes, data.size()));
  std::vector<std::byte> ordered;
  if (fortran && tensor.shape.size() > 1) {
    ordered = fromFortran(data, tensor.shape, type->bytes);
    data = std::string_view(reinterpret_cast<const char *>(ordered.data()), ordered.size());
  }
  if (descr == "i8" || descr == "u4" || descr == "u1") {
    auto narrow = integersToI32(data, descr, count);
    if (!narrow)
      return malformed("a 64-bit integer does not fit in i32");
    tensor.bytes = std::move(*narrow);
  } else {
    tensor.bytes.resize(data.size());
    std::memcpy(tensor.bytes.data(), data.data(), data.size());
  }
  return tensor;
}

std::string formatNpy(const HostTensor &tensor, ElementType *stored) {
  HostTensor widened;
  const HostTensor *source = &tensor;
  bool direct = tensor.type != ElementType::BF16 && tensor.type != ElementType::E4M3 && tensor.type != ElementType::E5M2 &&
                tensor.type != ElementType::Bit;
  if (!direct) {
    widened = tensor.converted(tensor.type == ElementType::Bit ? ElementType::Bool : ElementType::F32);
    source = &widened;
  }
  if (stored)
    *stored = source->type;
  std::string_view descr;
  for (const NpyType &candidate : kTypes)
    if (candidate.type == source->type && descr.empty())
      descr = candidate.descr;
  std::string dims;
  for (std::int64_t dim : source->shape)
    dims += fmt::format("{},", dim);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   descr.back() == '1' ? "|" : "<", descr, dims);
  std::size_t total = 10 + header.size() + 1;
  header.append((64 - total % 64) % 64, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  auto length = static_cast<std::uint16_t>(header.size());
  out.append(reinterpret_cast<const char *>(&length), 2);
  out += header;
  out.append(reinterpret_cast<const char *>(source->bytes.data()), source->bytes.size());
  return out;
}

} // namespace attn::tools
