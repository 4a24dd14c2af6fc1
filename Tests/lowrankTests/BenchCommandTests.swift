import Foundation
import Safetensors
import Testing

/// What a shell sees of `bench`.
struct BenchCommandTests {
    @Test(arguments: [
        ("gemm", "64x48x32", "f32", [64, 48, 32]), ("syrk", "40x64", "bf16", [40, 40, 64]),
        ("gemv", "64x96", "f16", [64, 1, 96]),
        ("svd", "48x32x8", "f32", [48, 32, 8]), ("eigen", "33", "f64", [33, 33, 17]),
    ])
    func anOperationIsTimedOnTheGivenShape(operation: String, shape: String, dtype: String, sides: [Int]) throws {
        let run = try ProgramRun.of(
            "bench --op \(operation) --shape \(shape) --dtype \(dtype) --repeat 1 --threads 1 --json")
        #expect(run.code == 0)
        let document = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
        let results = try #require(document?["results"] as? [[String: Any]])
        #expect(results.count == 1)
        let result = try #require(results.first)
        #expect(["m", "n", "k"].map { result[$0] as? Int } == sides)
        #expect(result["op"] as? String == operation && result["dtype"] as? String == dtype)
        #expect(result["threads"] as? Int == 1)
        for key in ["seconds", "gflops", "percent_of_peak"] {
            #expect(try #require(result[key] as? Double) > 0)
        }
        let machine = try #require(document?["machine"] as? [String: Any])
        #expect(try #require(machine["f32_gflops"] as? Double) > 1)
    }

    /// Layers of one form are timed once, for every number of tokens.
    @Test func layersOfACheckpointAreTimedAgainstDenseOnes() throws {
        let folder = try ModelFolder()
        let made = try ProgramRun.of(
            [
                "compress", ModelFolder.fixture, "-o", folder.at("out"), "-q", "--keep", "0.5", "--method", "tt",
                "--include", "q_proj|o_proj",
            ])
        #expect(made.code == 0, "\(made.errors)")
        let run = try ProgramRun.of(
            ["bench", "--checkpoint", folder.at("out"), "--batch", "1,3", "--repeat", "1", "--threads", "1", "--json"])
        #expect(run.code == 0, "\(run.errors)")
        let results = try #require(try JSON.parse(run.output)["results"]?.array)
        #expect(results.map { $0["n"]?.int } == [1, 3])
        for result in results {
            #expect(result["op"]?.string == "layer" && result["schema"]?.string == "TTLinear")
            for key in ["seconds", "dense_seconds", "macs", "gflops", "relative_time", "relative_rate"] {
                #expect(try #require(result[key]?.double) > 0)
            }
        }
        let dense = try ProgramRun.of(["bench", "--checkpoint", ModelFolder.fixture])
        #expect(dense.code == 3 && dense.errors.contains("no compressed layer"))
    }

    @Test(arguments: [
        ("bench --shape 64", "--shape needs --op"), ("bench --batch 4", "--batch needs --checkpoint"),
        ("bench --checkpoint x --shape 64", "--shape needs --op"),
        ("bench --op gemm --shape 64x32", "--shape 64x32 does not fit --op gemm"),
        ("bench --op svd --shape 64x32x33", "--shape 64x32x33 does not fit --op svd"),
        ("bench --op gemm --shape 0x1x1", "--shape '0x1x1': expected sides joined by x, such as 4096x4096x64"),
    ])
    func shapesThatDoNotFitAreRefused(line: String, message: String) throws {
        #expect(try ProgramRun.of(line) == ProgramRun(code: 2, output: "", errors: "lowrank: error: \(message)\n"))
    }

    @Test func anInstructionSetThatIsNotThereIsRefused() throws {
        let run = try ProgramRun.of("bench --op gemm --shape 8", environment: ["LOWRANK_ISA": "sse9"])
        #expect(run.code == 2)
        #expect(run.errors.hasPrefix("lowrank: error: LOWRANK_ISA=sse9 names no instruction set"))
    }
}
