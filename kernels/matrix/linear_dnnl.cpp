#include "kernels/matrix/linear_dnnl.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace aid::gemm {

struct PackedLayout::State {
  int64_t k, n;
  DType dtype;
  dnnl::memory::desc description;
};

namespace {

using dnnl::memory;
using Layout = memory::desc;

memory::data_type type_of(DType dtype) {
  AID_CHECK(dtype == DType::f32 || dtype == DType::bf16, "matrix products take f32 and bf16, not ", name_of(dtype));
  return dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// One engine per process. Made before anything else of oneDNN, because the instruction set can only be limited first.
const dnnl::engine& engine() {
  static const dnnl::engine instance = [] {
    switch (default_target()) {
      case Target::cpu_avx2:
        dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
        break;
      case Target::cpu_avx512:
        dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core);
        break;
      case Target::cpu_amx:  // its products are not oneDNN's
      case Target::cpu_avx512_bf16:
        dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
        break;
      case Target::cuda:  // never the default: that is an instruction set
        break;
    }
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return instance;
}

const dnnl::stream& queue() {
  static const dnnl::stream instance(engine());
  return instance;
}

Layout plain(CSpan x) { return {{x.rows, x.cols}, type_of(x.dtype), memory::dims{x.stride, 1}}; }
Layout plain_transposed(CSpan x) { return {{x.cols, x.rows}, type_of(x.dtype), memory::dims{1, x.stride}}; }
Layout dense(int64_t rows, int64_t cols, DType dtype) { return {{rows, cols}, type_of(dtype), memory::format_tag::ab}; }
// linear_pack.h's panels.
Layout panels(int64_t k, int64_t n, DType dtype) {
  using Tag = memory::format_tag;
  const Tag bf16_tag = by_amx() ? Tag::BA16a32b2a : Tag::BA16a64b2a, f32_tag = by_amx() ? Tag::BA16a32b : Tag::BA16a64b;
  return {{k, n}, type_of(dtype), dtype == DType::bf16 ? bf16_tag : f32_tag};
}
memory view(const Layout& layout, const void* data) { return {layout, engine(), const_cast<void*>(data)}; }

dnnl::algorithm algorithm_of(Activation activation) {
  switch (activation) {
    case Activation::gelu_erf:
      return dnnl::algorithm::eltwise_gelu_erf;
    case Activation::gelu_tanh:
      return dnnl::algorithm::eltwise_gelu_tanh;
    case Activation::relu:
      return dnnl::algorithm::eltwise_relu;
    case Activation::tanh:
      return dnnl::algorithm::eltwise_tanh;
    case Activation::logistic:
      return dnnl::algorithm::eltwise_logistic;
    case Activation::none:
      break;
  }
  return dnnl::algorithm::undef;
}

// The two generations of the C++ interface differ in these two functions only.
void append_activation(dnnl::post_ops& ops, Activation activation) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm_of(activation), 0, 0);
#else
  ops.append_eltwise(1, algorithm_of(activation), 0, 0);
#endif
}
dnnl::matmul::primitive_desc describe(const Layout& a, const Layout& b, const Layout* bias, const Layout& c,
                                      const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return bias != nullptr ? dnnl::matmul::primitive_desc(engine(), a, b, *bias, c, attributes)
                         : dnnl::matmul::primitive_desc(engine(), a, b, c, attributes);
#else
  return {bias != nullptr ? dnnl::matmul::desc(a, b, *bias, c) : dnnl::matmul::desc(a, b, c), attributes, engine()};
#endif
}

// What a compiled product depends on.
struct Key {
  enum class Kind : uint8_t { product, outer, packed_outer } kind;
  int64_t m, n, k;
  int64_t a_stride = 0;
  DType in, out;
  bool bias = false;
  Activation activation = Activation::none;
  int threads;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    size_t hash = 0;
    for (const int64_t part : {static_cast<int64_t>(key.kind), key.m, key.n, key.k, key.a_stride,
                               static_cast<int64_t>(key.in), static_cast<int64_t>(key.out), int64_t{key.bias},
                               static_cast<int64_t>(key.activation), int64_t{key.threads}}) {
      hash = (hash ^ static_cast<size_t>(part)) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

// A product with its memory objects, which every call points elsewhere.
struct Compiled {
  dnnl::matmul product;
  std::unordered_map<int, memory> arguments;
  uint64_t last_use = 0;

  void run(std::initializer_list<std::pair<int, const void*>> data) {
    for (const auto& [argument, pointer] : data) {
      if (pointer != nullptr) arguments.at(argument).set_data_handle(const_cast<void*>(pointer));
    }
    product.execute(queue(), arguments);
  }
};

// The products of one host thread, least recently used out first: each takes about 0.2 ms to compile and 24 KB.
class Cache {
 public:
  template <class Make>
  Compiled& get(const Key& key, Make make) {
    auto found = entries_.find(key);
    if (found == entries_.end()) {
      if (entries_.size() >= kCapacity) evict();
      found = entries_.emplace(key, make()).first;
    }
    found->second.last_use = ++uses_;
    return found->second;
  }

 private:
  static constexpr size_t kCapacity = 512;

  void evict() {
    auto oldest = entries_.begin();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.last_use < oldest->second.last_use) oldest = it;
    }
    entries_.erase(oldest);
  }

  std::unordered_map<Key, Compiled, KeyHash> entries_;
  uint64_t uses_ = 0;
};

Cache& cache() {
  static thread_local Cache instance;
  return instance;
}

// oneDNN compiles for, and runs on, as many threads as OpenMP would now give.
void use_threads(int threads) {
  if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
}

// Below AVX-512, oneDNN's products are its BLAS (jit_avx_gemm_f32.cpp), whose order of summation depends on the shape,
// the number of threads and a row's place. There every thread calls it alone, for whole blocks of as many rows as its
// kernel takes at a time, and never for more than it goes through in one piece: then the order is always the same.
bool is_blas() {
  static const bool blas = default_target() == Target::cpu_avx2;
  return blas;
}
constexpr int64_t kBlasBlock = 6, kBlasRows = 8 * kBlasBlock;

void multiply_part(int threads, const Product& p) {
  use_threads(threads);
  const PackedLayout::State& b = p.b.layout.state();
  const Key key = {.kind = Key::Kind::product,
                   .m = p.a.rows,
                   .n = b.n,
                   .k = b.k,
                   .in = b.dtype,
                   .out = p.c.dtype,
                   .bias = !p.bias.empty(),
                   .activation = p.activation,
                   .threads = threads};
  Compiled& compiled = cache().get(key, [&] {
    const Layout a = dense(key.m, key.k, key.in), c = dense(key.m, key.n, key.out), bias = dense(1, key.n, DType::f32);
    dnnl::primitive_attr attributes;
    if (key.activation != Activation::none) {
      dnnl::post_ops ops;
      append_activation(ops, key.activation);
      attributes.set_post_ops(ops);
    }
    Compiled made{.product = dnnl::matmul(describe(a, b.description, key.bias ? &bias : nullptr, c, attributes)),
                  .arguments = {{DNNL_ARG_SRC, view(a, nullptr)},
                                {DNNL_ARG_WEIGHTS, view(b.description, nullptr)},
                                {DNNL_ARG_DST, view(c, nullptr)}}};
    if (key.bias) made.arguments.emplace(DNNL_ARG_BIAS, view(bias, nullptr));
    return made;
  });
  compiled.run({{DNNL_ARG_SRC, p.a.data},
                {DNNL_ARG_WEIGHTS, p.b.data.data},
                {DNNL_ARG_BIAS, p.bias.data},
                {DNNL_ARG_DST, p.c.data}});
}

void accumulate_outer_part(int threads, const OuterProduct& p) {
  use_threads(threads);
  const Key key = {.kind = p.packed ? Key::Kind::packed_outer : Key::Kind::outer,
                   .m = p.c.rows,
                   .n = p.c.cols,
                   .k = p.packed ? p.dy.cols : p.dy.rows,
                   .a_stride = p.dy.stride,
                   .in = p.dy.dtype,
                   .out = DType::f32,
                   .threads = threads};
  Compiled& compiled = cache().get(key, [&] {
    const Layout a = p.packed ? plain(p.dy) : plain_transposed(p.dy);
    const Layout b = p.packed ? panels(key.k, key.n, key.in) : dense(key.k, key.n, key.in);
    const Layout c = dense(key.m, key.n, DType::f32);
    dnnl::post_ops ops;
    ops.append_sum(1);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(ops);
    return Compiled{
        .product = dnnl::matmul(describe(a, b, nullptr, c, attributes)),
        .arguments = {
            {DNNL_ARG_SRC, view(a, nullptr)}, {DNNL_ARG_WEIGHTS, view(b, nullptr)}, {DNNL_ARG_DST, view(c, nullptr)}}};
  });
  compiled.run({{DNNL_ARG_SRC, p.dy.data}, {DNNL_ARG_WEIGHTS, p.x.data}, {DNNL_ARG_DST, p.c.data}});
}

// The layout that a product of many rows asks for; those of few rows are compiled to take it too.
Layout best_layout(int64_t k, int64_t n, DType dtype) {
  constexpr int64_t kRows = 1024;
  if (by_amx()) return panels(k, n, dtype);
  const Layout any({k, n}, type_of(dtype), memory::format_tag::any);
  return describe(dense(kRows, k, dtype), any, nullptr, dense(kRows, n, dtype), dnnl::primitive_attr()).weights_desc();
}

}  // namespace

DType multiply_dtype(DType compute) {
  static const bool native_bf16 = default_target() >= Target::cpu_avx512_bf16;
  return compute == DType::bf16 && native_bf16 ? DType::bf16 : DType::f32;
}

bool by_amx() {
  static const bool amx = default_target() == Target::cpu_amx;
  return amx;
}

PackedLayout::PackedLayout(int64_t k, int64_t n, DType dtype)
    : state_(std::make_unique<State>(State{k, n, dtype, best_layout(k, n, dtype)})) {}
PackedLayout::~PackedLayout() = default;
PackedLayout::PackedLayout(PackedLayout&&) noexcept = default;
PackedLayout& PackedLayout::operator=(PackedLayout&&) noexcept = default;
int64_t PackedLayout::k() const { return state_->k; }
int64_t PackedLayout::n() const { return state_->n; }
DType PackedLayout::dtype() const { return state_->dtype; }
int64_t PackedLayout::elements() const {
  return static_cast<int64_t>(state_->description.get_size() / size_of(state_->dtype));
}
bool PackedLayout::is_panels() const { return state_->description == panels(k(), n(), dtype()); }

void PackedLayout::pack(Stream& s, Span packed, CSpan source, Order order) const {
  use_threads(s.threads());
  memory from = view(order == Order::transposed ? plain_transposed(source) : plain(source), source.data);
  memory to = view(state_->description, packed.data);
  dnnl::reorder(from, to).execute(queue(), from, to);
}

void multiply_by_blas(Stream& s, const Product& p) {
  const int64_t rows = p.a.rows, blocks = rows / kBlasBlock;
  s.team().ranges(blocks * kBlasBlock, kBlasBlock, [&](int64_t first, int64_t last) {
    for (int64_t begin = first; begin < last; begin += kBlasRows) {
      const int64_t end = std::min(begin + kBlasRows, last);
      Product part = p;
      part.a = p.a.row_slice(begin, end);
      part.c = p.c.row_slice(begin, end);
      multiply_part(1, part);
    }
  });
  if (rows % kBlasBlock == 0) return;
  const auto mark = s.arena().mark();
  Product rest = p;
  const Span a = s.arena().take(p.a.dtype, kBlasBlock, p.a.cols);
  const CSpan given = p.a.row_slice(blocks * kBlasBlock, rows);
  std::memset(a.data, 0, static_cast<size_t>(a.bytes()));
  std::memcpy(a.data, given.data, static_cast<size_t>(given.bytes()));
  rest.a = a;
  rest.c = s.arena().take(p.c.dtype, kBlasBlock, p.c.cols);
  multiply_part(1, rest);
  const Span wanted = p.c.row_slice(blocks * kBlasBlock, rows);
  std::memcpy(wanted.data, rest.c.data, static_cast<size_t>(wanted.bytes()));
  s.arena().rewind(mark);
}

void multiply(Stream& s, const Product& p) { is_blas() ? multiply_by_blas(s, p) : multiply_part(s.threads(), p); }

void accumulate_outer(Stream& s, const OuterProduct& p) {
  if (!is_blas()) return accumulate_outer_part(s.threads(), p);
  constexpr int64_t kTile = 64;  // rows of c; fixed, so that the number of threads changes no bit
  s.team().tasks((p.c.rows + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t begin = tile * kTile, end = std::min(begin + kTile, p.c.rows);
    accumulate_outer_part(1, {.c = p.c.row_slice(begin, end), .dy = p.dy.col_slice(begin, end), .x = p.x});
  });
}

bool takes_packed_outer(int64_t n, DType dtype) {
  constexpr int64_t kRows = 256;
  if (is_blas()) return false;
  static thread_local std::map<std::pair<int64_t, DType>, bool>
      answers;  // asking oneDNN takes as long as a small product
  const auto [answer, is_new] = answers.try_emplace({n, dtype});
  if (is_new) answer->second = best_layout(kRows, n, dtype) == panels(kRows, n, dtype);
  return answer->second;
}

void copy(Stream& s, Span y, CSpan x) {
  use_threads(s.threads());
  memory from = view(plain(x), x.data), to = view(plain(y), y.data);
  dnnl::reorder(from, to).execute(queue(), from, to);
}

}  // namespace aid::gemm

namespace aid {

std::string matrix_library_version() {
  const dnnl_version_t& v = *dnnl::version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

}  // namespace aid
