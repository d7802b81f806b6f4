// cuBLASLt, opened at run time: a program starts without it, and says what is missing when a product is asked for.
#pragma once

#include <cublasLt.h>
#include <dlfcn.h>

#include <string>

#include "kernels/device/runtime.h"

namespace aid::cuda {

// libcublasLt, opened once for the process.
struct Library {
  void* handle = nullptr;
  std::string file;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusName) status_name;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;

  Library() {
    std::string tried;
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
      handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr) {
        file = name;
        break;
      }
      tried += std::string(tried.empty() ? "" : "; ") + dlerror();
    }
    if (handle == nullptr) {
      throw CudaError("cuBLASLt cannot be opened: " + tried +
                      ". It comes with the CUDA toolkit (libcublas) or with pip's nvidia-cublas; put its folder into "
                      "LD_LIBRARY_PATH, or use --device cpu");
    }
    find(version, "cublasLtGetVersion");
    find(status_name, "cublasLtGetStatusName");
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(desc_create, "cublasLtMatmulDescCreate");
    find(desc_destroy, "cublasLtMatmulDescDestroy");
    find(desc_set, "cublasLtMatmulDescSetAttribute");
    find(layout_create, "cublasLtMatrixLayoutCreate");
    find(layout_destroy, "cublasLtMatrixLayoutDestroy");
    find(preference_create, "cublasLtMatmulPreferenceCreate");
    find(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(matmul, "cublasLtMatmul");
  }

  template <class Function>
  void find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr) throw CudaError(file + " has no " + name + "; expected cuBLASLt 12 or 13");
  }

  void check(cublasStatus_t status, const std::string& what) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw CudaError(what + ": " + status_name(status) + " (" + file + ")");
  }
};

inline const Library& library() {
  static const Library instance;
  return instance;
}

}  // namespace aid::cuda
