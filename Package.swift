// swift-tools-version: 6.0
import PackageDescription

// The floors of the house, lowest first. A target imports only targets of floors below its own.
//
// Every library is optimised in debug builds too: unoptimised numeric loops are 20–50 times slower,
// and the tests are run in debug.
let optimised: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// The same kernel sources are compiled once for each instruction set (see Sources/KernelsBaseline). File by file,
/// because whole modules are compiled in parts that see each other's private functions as weak symbols.
func kernels(_ name: String, flags: [String] = [], defining symbols: [String] = []) -> Target {
    let swift = ["-Ounchecked", "-no-whole-module-optimization"]
    let clang = flags.flatMap { ["-Xcc", $0] }
    let settings: [SwiftSetting] = symbols.map { .define($0) } + [.unsafeFlags(swift + clang)]
    return library(name, ["KernelContract", "CPrefetch"], settings: settings)
}

#if arch(x86_64)
let vectorKernels = [
    kernels("KernelsAVX2", flags: ["-mavx2", "-mfma", "-mf16c"], defining: ["FMA", "AVX2"]),
    kernels(
        "KernelsAVX512", flags: ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"],
        defining: ["FMA", "AVX512"]),
]
#else
let vectorKernels: [Target] = []
#endif

/// A library target with its tests in `Tests/<name>Tests`.
func library(_ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = optimised) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// - Parameter files: what lies beside the tests and is read from there at run time.
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], files: [String] = []) -> Target {
    .testTarget(name: name + "Tests", dependencies: [.init(stringLiteral: name)] + dependencies, exclude: files)
}

let package = Package(
    name: "lowrank",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "lowrank", targets: ["lowrank"])],
    targets: [
        // What tests of all floors use.
        .target(name: "TestSupport", path: "Tests/TestSupport"),

        // Floor 0
        library("MatrixCore"),
        tests("MatrixCore"),

        // Floor 1
        library("KernelContract"),
        .systemLibrary(name: "CPrefetch"),
        kernels("KernelsBaseline"),
        library(
            "Kernels",
            ["MatrixCore", "KernelContract", "KernelsBaseline"] + vectorKernels.map { .init(stringLiteral: $0.name) }
        ),
        tests("Kernels", ["MatrixCore", "KernelContract"]),

        // Floor 2
        library("LinearAlgebra", ["MatrixCore", "KernelContract", "Kernels"]),
        tests("LinearAlgebra", ["MatrixCore", "Kernels"]),
        library("Safetensors", ["MatrixCore"]),
        tests("Safetensors", ["MatrixCore", "TestSupport"]),
        library("CommandLineKit"),
        tests("CommandLineKit"),

        // Floor 3
        library("CompressionCore", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors"]),
        tests("CompressionCore", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors"]),
        library("Checkpoints", ["MatrixCore", "Safetensors"]),
        tests("Checkpoints", ["MatrixCore", "Safetensors", "TestSupport"]),

        // Floor 4
        library("Statistics", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        tests("Statistics", ["MatrixCore", "Kernels", "Safetensors", "CompressionCore", "TestSupport"]),
        library("SVDCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        tests("SVDCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),

        library("TuckerCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        tests("TuckerCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        library(
            "TensorTrainCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        tests("TensorTrainCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),
        library("MixTCompression", ["MatrixCore", "Kernels", "Safetensors", "CompressionCore"]),
        tests("MixTCompression", ["MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore"]),

        // Floor 4, upper half: methods that are made of others
        library(
            "SatenCompression",
            [
                "MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore", "SVDCompression",
                "TensorTrainCompression",
            ]),
        tests(
            "SatenCompression",
            [
                "MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CompressionCore", "SVDCompression",
                "TensorTrainCompression",
            ]),

        // Floor 5
        library("Models", ["MatrixCore", "Kernels", "Safetensors", "CompressionCore", "Checkpoints", "Statistics"]),
        tests(
            "Models", ["MatrixCore", "Kernels", "Safetensors", "CompressionCore", "Checkpoints", "Statistics"],
            files: ["Resources"]),
        library("Planning", ["MatrixCore", "Safetensors", "CompressionCore", "Checkpoints"]),
        tests("Planning", ["MatrixCore", "Safetensors", "CompressionCore", "Checkpoints"]),

        library("Reporting", ["Safetensors", "CommandLineKit"]),
        tests("Reporting", ["Safetensors"]),

        // Floor 6
        library(
            "Jobs",
            [
                "MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CommandLineKit", "CompressionCore",
                "Checkpoints", "SVDCompression", "TuckerCompression", "TensorTrainCompression", "MixTCompression",
                "SatenCompression", "Statistics", "Models", "Planning", "Reporting",
            ]
        ),
        tests(
            "Jobs",
            [
                "MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CommandLineKit", "CompressionCore",
                "Checkpoints", "Statistics", "Models", "Planning", "TestSupport",
            ]
        ),

        // Floor 7
        .executableTarget(
            name: "lowrank",
            dependencies: [
                "MatrixCore", "Kernels", "LinearAlgebra", "Safetensors", "CommandLineKit", "CompressionCore",
                "Checkpoints", "Statistics", "Models", "Planning", "Reporting", "Jobs",
            ]
        ),
        .testTarget(
            name: "lowrankTests",
            dependencies: [
                "lowrank", "Safetensors", "MatrixCore", "CompressionCore", "Checkpoints", "Statistics", "TestSupport",
            ]),

        // Across the floors: changed inputs of every kind.
        .testTarget(
            name: "FuzzTests",
            dependencies: ["MatrixCore", "Safetensors", "CommandLineKit", "Models", "Planning", "Jobs"]),
    ] + vectorKernels,
    swiftLanguageModes: [.v6]
)
