import CommandLineKit
import Foundation
import Jobs
import Testing

/// Changed inputs of every kind are read or refused: no crash, no hang, no great allocation, and an exit code that says
/// which.
///
/// A few hundred in the tests; `Scripts/fuzz` reads as many as asked for (LOWRANK_FUZZ_INPUTS, LOWRANK_FUZZ_SECONDS),
/// from a seed (LOWRANK_FUZZ_SEED). The input at work is named in the file LOWRANK_FUZZ_NOTE, for where the process
/// dies.
@Suite(.serialized)
struct FuzzTests {
    /// An input may take this much time of a processor.
    private static let mostSeconds = 2.0
    /// All of a target's inputs may raise the peak of resident memory by this much.
    private static let mostBytes = 256 << 20

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test func changedInputsAreReadOrRefused() throws {
        let inputs = Self.setting("LOWRANK_FUZZ_INPUTS") ?? (Self.setting("LOWRANK_FUZZ_SECONDS") == nil ? 450 : .max)
        let seconds = Self.setting("LOWRANK_FUZZ_SECONDS").map(Double.init) ?? .infinity
        let seed = UInt64(Self.setting("LOWRANK_FUZZ_SEED") ?? 1)
        let first = Self.setting("LOWRANK_FUZZ_FIRST") ?? 0
        let note = ProcessInfo.processInfo.environment["LOWRANK_FUZZ_NOTE"]
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let runner = try FuzzRunner(
            FuzzMaterial(), fixtureTokenizer: root.appendingPathComponent("Fixtures/tiny-llama/tokenizer.json").path)
        let watch = Stopwatch(), peak = ResourceUse.peakResidentBytes
        var counts: [String: Int] = [:]
        var number = first
        while number - first < inputs && watch.seconds < seconds {
            let target = FuzzTarget.allCases[number % FuzzTarget.allCases.count]
            if let note { _ = FileManager.default.createFile(atPath: note, contents: Data("\(target) \(number)".utf8)) }
            let start = Self.processorSeconds()
            let code = Self.code(target) { try runner.run(target, seed: seed, number: number) }
            let took = Self.processorSeconds() - start
            #expect(took < Self.mostSeconds, "\(target) \(number) of seed \(seed) took \(took) s")
            if let unexpected = code.problem {
                Issue.record("\(target) \(number) of seed \(seed): \(unexpected)")
            }
            counts["\(target) \(code.name)", default: 0] += 1
            number += 1
        }
        let grown = ResourceUse.peakResidentBytes - peak
        // Other tests of the same process have peaks of their own.
        if inputs > 450 { #expect(grown < Self.mostBytes, "the peak grew by \(grown) bytes") }
        if inputs > 450 {
            print("\(number - first) inputs in \(Int(watch.seconds)) s, peak memory up by \(grown >> 20) MiB")
            for (name, count) in counts.sorted(by: { $0.key < $1.key }) { print("  \(name): \(count)") }
        }
    }

    /// How reading ended, and what is wrong with that.
    private static func code(_ target: FuzzTarget, _ body: () throws -> Void) -> (name: String, problem: String?) {
        do {
            try body()
            return ("read", nil)
        } catch let error as FuzzRunner.SystemFailure {
            return ("failed", "\(error)")
        } catch {
            let failure = Failure(explaining: error)
            let isExpected = failure.code == .badInput || allowed[target, default: []].contains(failure.code)
            let problem = isExpected && !failure.message.isEmpty ? nil : "exit \(failure.code): \(failure.message)"
            return ("refused with \(failure.code.rawValue)", problem)
        }
    }

    /// What an input may rightly end with beside 3: a changed model may have no layer to compress (2), a shorter
    /// context than asked for (2), or numbers that overflow (4).
    private static let allowed: [FuzzTarget: Set<ExitCode>] = [
        .index: [.usage, .conditionNotMet], .config: [.usage, .conditionNotMet, .numericFailure],
        .compressedConfig: [.usage, .numericFailure], .part: [.usage, .numericFailure],
    ]

    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
