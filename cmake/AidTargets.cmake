# How this project's libraries, kernels, tests and benchmarks are declared. Sources are globbed by folder, so that adding a
# file needs no edit here; CONFIGURE_DEPENDS makes the build notice it.

add_library(aid_flags INTERFACE)
target_include_directories(aid_flags INTERFACE ${CMAKE_SOURCE_DIR})
set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
target_compile_options(aid_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
  $<$<AND:$<BOOL:${AID_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)
if(AID_SANITIZE)
  target_compile_options(aid_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${AID_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>")
  target_link_options(aid_flags INTERFACE -fsanitize=${AID_SANITIZE})
endif()

# aid_library(NAME LIBRARIES...): every .cpp of this folder, less the per-target CPU kernels and, without CUDA, the users of
# its libraries (*_lib.cpp).
function(aid_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  list(FILTER sources EXCLUDE REGEX "_(cpu|amx)\\.cpp$")
  if(NOT AID_CUDA)
    list(FILTER sources EXCLUDE REGEX "_lib\\.cpp$")
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC aid_flags ${ARGN})
endfunction()

# Compiles every *_cpu.cpp once per instruction set, each into its own namespace (AID_TARGET), and adds the objects to NAME.
# Optimised in debug builds too: std::experimental::simd and the vectoriser are a hundred times slower without.
function(aid_cpu_kernels name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *_cpu.cpp)
  set(flags_cpu_avx2 -mavx2 -mfma -mf16c)
  set(flags_cpu_avx512 ${flags_cpu_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512)
  set(flags_cpu_avx512_bf16 ${flags_cpu_avx512} -mavx512bf16)
  # What multiplies on AMX's tiles: *_amx.cpp and attention. All else of that target is AVX-512 BF16's.
  set(flags_cpu_amx ${flags_cpu_avx512_bf16} -mamx-tile -mamx-bf16)
  file(GLOB_RECURSE amx_sources CONFIGURE_DEPENDS *_amx.cpp attention_*_cpu.cpp)
  foreach(target cpu_avx2 cpu_avx512 cpu_avx512_bf16 cpu_amx)
    if(target STREQUAL cpu_amx)
      set(sources ${amx_sources})
    endif()
    if(NOT sources)
      continue()
    endif()
    add_library(${name}_${target} OBJECT ${sources})
    target_link_libraries(${name}_${target} PRIVATE aid_flags)
    target_compile_definitions(${name}_${target} PRIVATE AID_TARGET=${target})
    # No -ffast-math: sums keep the order that the source gives them, so that results repeat bit for bit.
    # -fno-math-errno and -fno-trapping-math change no result and let the vectoriser work.
    # g++ 12 calls the undefined operands inside its own AVX-512 intrinsics uninitialised.
    target_compile_options(${name}_${target} PRIVATE ${flags_${target}} -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast
      -Wno-uninitialized -Wno-maybe-uninitialized)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:${name}_${target}>)
  endforeach()
endfunction()

# Compiles every *.cu with nvcc and adds the objects to NAME; AID_CUDA tells the sources that there are kernels to pick.
# -lineinfo and uncompressed PTX are for profilers and for the software GPU (tests/softgpu), which runs that PTX.
function(aid_cuda_kernels name)
  if(NOT AID_CUDA)
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cu)
  target_sources(${name} PRIVATE ${sources})
  target_compile_definitions(${name} PRIVATE AID_CUDA)
  target_include_directories(${name} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  # nvcc optimises kernels in debug builds too.
  set(flags -lineinfo --no-compress --expt-relaxed-constexpr
    -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers)
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${flags}>"
    $<$<AND:$<BOOL:${AID_WERROR}>,$<COMPILE_LANGUAGE:CUDA>>:-Werror=all-warnings>)
endfunction()

# aid_test(NAME LIBRARIES...): every *_test.cpp below this folder in one GoogleTest program; a *_cpu.cpp is aid_cpu_kernels'
# business. Suites named Shared* read AID_SHARED_DIR: they carry the label `shared` and are left out where it is missing.
# The time limit tells a test that hangs from one under a sanitizer on a busy machine.
function(aid_test name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  list(FILTER sources EXCLUDE REGEX "_cpu\\.cpp$")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE aid_flags ${ARGN} GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE AID_SOURCE_DIR="${CMAKE_SOURCE_DIR}" AID_SHARED_DIR="${AID_SHARED_DIR}"
    AID_PROGRAM="${CMAKE_BINARY_DIR}/aid")
  set(prefix)
  if(name MATCHES "_cuda_test$")
    set(prefix TEST_PREFIX cuda.)
  endif()
  gtest_discover_tests(${name} ${prefix} TEST_FILTER -Shared* DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 1800)
  if(EXISTS ${AID_SHARED_DIR})
    gtest_discover_tests(${name} TEST_FILTER Shared* DISCOVERY_MODE PRE_TEST TEST_LIST ${name}_shared
      PROPERTIES LABELS shared TIMEOUT 1800)
  endif()
endfunction()

# aid_link_softgpu(NAME): the software GPU in place of aid_cudart and of cuBLASLt.
function(aid_link_softgpu name)
  target_link_libraries(${name} PRIVATE "$<LINK_GROUP:RESCAN,aid_kernels,softgpu_cudart>")
  # RPATH, not RUNPATH: LD_LIBRARY_PATH may hold NVIDIA's own cuBLASLt.
  set_target_properties(${name} PROPERTIES BUILD_RPATH ${CMAKE_BINARY_DIR}/softgpu)
  target_link_options(${name} PRIVATE -Wl,--disable-new-dtags)
  add_dependencies(${name} softgpu_cublaslt)
endfunction()

# aid_cuda_test(NAME_cuda_test LIBRARIES...): the tests of this folder once more, on the software GPU; to ctest they are
# cuda.SUITE.TEST. Whatever the software GPU reports fails the test (tests/softgpu_listener.cpp).
function(aid_cuda_test name)
  if(NOT TARGET softgpu_cudart)
    return()
  endif()
  aid_test(${name} ${ARGN})
  aid_link_softgpu(${name})
  target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/softgpu_listener.cpp)
  target_compile_definitions(${name} PRIVATE AID_TEST_SOFTGPU)
endfunction()
