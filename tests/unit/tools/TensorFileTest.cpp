// Tensor files: what other programs write is read, what we write is read back, and damaged files are refused in words.
#include "tools/attnc/TensorFile.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace attn;
using namespace attn::tools;

static HostTensor sample(ElementType type, std::vector<std::int64_t> shape) {
  HostTensor tensor(type, std::move(shape));
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.set(i, type == ElementType::Bool || type == ElementType::Bit ? i % 3 == 0 : static_cast<double>(i % 13) - 6);
  return tensor;
}

/// A file as NumPy writes it, with the given header dictionary.
static std::string npy(const std::string &dictionary, const std::string &data) {
  std::string header = dictionary;
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  auto length = static_cast<std::uint16_t>(header.size());
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.append(reinterpret_cast<const char *>(&length), 2);
  return bytes + header + data;
}

TEST(Npy, RoundTripsEveryTypeItCanHold) {
  for (ElementType type : {ElementType::F64, ElementType::F32, ElementType::F16, ElementType::I32, ElementType::I16,
                           ElementType::I8, ElementType::Bool}) {
    HostTensor tensor = sample(type, {2, 3, 5});
    ElementType stored{};
    Result<HostTensor> back = parseNpy(formatNpy(tensor, &stored));
    ASSERT_TRUE(back) << back.status().message();
    EXPECT_EQ(stored, type);
    EXPECT_EQ(back->type, type);
    EXPECT_EQ(back->shape, tensor.shape);
    EXPECT_EQ(back->bytes, tensor.bytes) << spelling(type);
  }
}

TEST(Npy, StoresBf16ExactlyAsF32) {
  HostTensor tensor(ElementType::BF16, {3});
  tensor.set(0, 1.5);
  tensor.set(1, -0.0078125);
  tensor.set(2, 3e38);
  ElementType stored{};
  Result<HostTensor> back = parseNpy(formatNpy(tensor, &stored));
  ASSERT_TRUE(back);
  EXPECT_EQ(stored, ElementType::F32);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(back->get(i), tensor.get(i));
}

TEST(Npy, ReadsColumnMajorScalarsAndSixtyFourBitIntegers) {
  float columns[6] = {0, 3, 1, 4, 2, 5};                                     // [[0,1,2],[3,4,5]] by columns
  std::string data(reinterpret_cast<const char *>(columns), sizeof columns);
  Result<HostTensor> tensor = parseNpy(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", data));
  ASSERT_TRUE(tensor) << tensor.status().message();
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(tensor->get(i), i);

  std::int64_t integers[2] = {-7, 2147483647};
  std::string wide(reinterpret_cast<const char *>(integers), sizeof integers);
  tensor = parseNpy(npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", wide));
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->type, ElementType::I32);
  EXPECT_EQ(tensor->get(0), -7);
  EXPECT_EQ(tensor->get(1), 2147483647);

  tensor = parseNpy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", data.substr(0, 4)));
  ASSERT_TRUE(tensor);
  EXPECT_TRUE(tensor->shape.empty());
}

TEST(Npy, RefusesDamagedFilesInWords) {
  std::string good = formatNpy(sample(ElementType::F32, {4, 4}));
  std::int64_t large = std::int64_t(1) << 40;
  std::string tooLarge(reinterpret_cast<const char *>(&large), 8);
  struct Case {
    std::string bytes, expected;
  } cases[] = {
      {"", "signature"},
      {"PK\x03\x04 and so on", "signature"},
      {good.substr(0, 9), "signature"},
      {good.substr(0, 40), "within its header"},
      {good.substr(0, good.size() - 1), "takes 64 bytes, the file holds 63"},
      {good + "x", "takes 64 bytes, the file holds 65"},
      {npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd"), "big-endian"},
      {npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "abcdefgh"), "element type `c8`"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd"), "structure"},
      {npy("{'descr': '<f4', 'fortran_order': False, }", "abcd"), "no shape"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", "abcd"), "too large"},
      {npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", tooLarge), "does not fit in i32"},
  };
  for (const Case &bad : cases) {
    Result<HostTensor> tensor = parseNpy(bad.bytes);
    ASSERT_FALSE(tensor) << bad.expected;
    EXPECT_NE(tensor.status().message().find(bad.expected), std::string::npos) << tensor.status().message();
  }
}

TEST(Safetensors, RoundTripsSeveralTensors) {
  NamedTensors tensors;
  for (ElementType type : {ElementType::F64, ElementType::F32, ElementType::BF16, ElementType::F16, ElementType::E4M3,
                           ElementType::I32, ElementType::Bool})
    tensors.emplace(std::string(spelling(type)), sample(type, {3, 7}));
  Result<NamedTensors> back = parseSafetensors(formatSafetensors(tensors));
  ASSERT_TRUE(back) << back.status().message();
  ASSERT_EQ(back->size(), tensors.size());
  for (const auto &[name, tensor] : tensors) {
    EXPECT_EQ(back->at(name).type, tensor.type) << name;
    EXPECT_EQ(back->at(name).shape, tensor.shape) << name;
    EXPECT_EQ(back->at(name).bytes, tensor.bytes) << name;
  }
}

static std::string safetensors(const std::string &header, const std::string &data) {
  std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

TEST(Safetensors, RefusesDamagedFilesInWords) {
  struct Case {
    std::string bytes, expected;
  } cases[] = {
      {"abc", "shorter than"},
      {safetensors("{}", "").substr(0, 9), "within its header"},
      {safetensors("[1]", ""), "not a JSON object"},
      {safetensors("{\"x\":{\"dtype\":\"F32\"", ""), "not a JSON object"},
      {safetensors("{\"x\":{\"dtype\":\"F32\"}}", ""), "lacks dtype"},
      {safetensors("{\"x\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "12345678"), "dtype `C64`"},
      {safetensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "1234"), "not a size"},
      {safetensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "1234"), "lies outside"},
      {safetensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "1234"), "takes 8 bytes"},
      {safetensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "1234"), "lies outside"},
  };
  for (const Case &bad : cases) {
    Result<NamedTensors> tensors = parseSafetensors(bad.bytes);
    ASSERT_FALSE(tensors) << bad.expected;
    EXPECT_NE(tensors.status().message().find(bad.expected), std::string::npos) << tensors.status().message();
  }
}

TEST(HostTensor, PacksBitsIntoWholeWordsLowestFirst) {
  HostTensor tensor(ElementType::Bit, {2, 33});
  EXPECT_EQ(tensor.bytes.size(), 16u);
  tensor.set(0, 1);
  tensor.set(33 + 32, 1);
  std::uint32_t words[4];
  std::memcpy(words, tensor.bytes.data(), 16);
  EXPECT_EQ(words[0], 1u);
  EXPECT_EQ(words[1], 0u);
  EXPECT_EQ(words[3], 1u);
  EXPECT_EQ(tensor.converted(ElementType::Bool).get(65), 1);
  EXPECT_EQ(tensor.converted(ElementType::Bool).get(64), 0);
}

TEST(Files, MissingAndDirectoryAndWrongEnding) {
  EXPECT_NE(readTensor("/nonexistent/q.npy", "query").status().message().find("No such file"), std::string::npos);
  EXPECT_NE(readTensor("/tmp", "query").status().message().find("read from .npy and .safetensors"), std::string::npos);
  EXPECT_NE(readFile("/tmp").status().message().find("is a directory"), std::string::npos);
  EXPECT_FALSE(writeFile("/nonexistent/directory/x", "text"));
}
