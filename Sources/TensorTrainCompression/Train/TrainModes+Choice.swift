import Foundation

/// How the modes of a train follow each other.
public enum TrainLayout: String, Sendable, CaseIterable {
    /// Output and input modes side by side in each core (TT-matrix, matrix product operator).
    case interleaved
    /// All input modes first, then all output modes.
    case split
}

extension TrainModes {
    /// Modes of d cores, chosen for a matrix (m × n).
    ///
    /// Balanced in two ways. The sizes s_k of the cores are as equal as the factors of m and n allow: at a given
    /// number of parameters, equal sizes have the highest ranks and, on weights, the smallest error. Among such
    /// choices the modes of each side are as equal as possible, so that a train is no disguised factorisation in two
    /// factors, unless a prime side leaves no other choice. Output modes descend and input modes ascend: a token is
    /// then carried from the last core to the first at the least cost.
    ///
    /// - Parameter cores: d; 1 or more.
    /// - Returns: nil if the sides have too few prime factors: some core would carry a single position.
    public static func balanced(outFeatures: Int, inFeatures: Int, cores: Int) -> TrainModes? {
        var search = ModeSearch(
            outputs: ModeSearch.even(outFeatures, cores).sorted(by: >),
            inputs: ModeSearch.even(inFeatures, cores).sorted())
        search.descend()
        let modes = search.modes
        return modes.sizes.allSatisfy { $0 > 1 } || cores == 1 ? modes : nil
    }

    /// Modes of the split layout with `modes` cores a side, each side as even as its factors allow.
    /// - Returns: nil if a side has fewer prime factors than modes.
    public static func split(outFeatures: Int, inFeatures: Int, modes: Int) -> TrainModes? {
        let outputs = ModeSearch.even(outFeatures, modes)
        let inputs = ModeSearch.even(inFeatures, modes)
        guard (outputs + inputs).allSatisfy({ $0 > 1 }) || modes == 1 else { return nil }
        return TrainModes(splitOutputs: outputs.sorted(by: >), inputs: inputs.sorted())
    }

    /// The split layout of given modes: inputs first.
    public init(splitOutputs outputs: [Int], inputs: [Int]) {
        self.init(
            outputs: inputs.map { _ in 1 } + outputs, inputs: inputs + outputs.map { _ in 1 })
    }
}

/// A search for balanced modes by moving prime factors between cores while that helps.
private struct ModeSearch {
    var outputs: [Int]
    var inputs: [Int]

    /// How much an uneven size of a core counts against an uneven mode.
    private static let sizeWeight = 16.0

    var modes: TrainModes { TrainModes(outputs: outputs, inputs: inputs) }

    /// Factors of a number in `count` parts, largest prime first to the smallest part.
    static func even(_ number: Int, _ count: Int) -> [Int] {
        var parts = [Int](repeating: 1, count: count)
        for prime in primeFactors(of: number).reversed() {
            let smallest = parts.indices.min { parts[$0] < parts[$1] } ?? 0
            parts[smallest] *= prime
        }
        return parts
    }

    /// Ascending, with repetition.
    static func primeFactors(of number: Int) -> [Int] {
        var factors: [Int] = []
        var rest = number
        var divisor = 2
        while divisor * divisor <= rest {
            while rest % divisor == 0 {
                factors.append(divisor)
                rest /= divisor
            }
            divisor += 1
        }
        return rest > 1 ? factors + [rest] : factors
    }

    /// Takes the best move of one side, or of both at once, until none improves.
    mutating func descend() {
        var cost = Self.cost(outputs, inputs)
        while true {
            let outputMoves = Self.neighbours(of: outputs)
            let inputMoves = Self.neighbours(of: inputs)
            var best: (cost: Double, outputs: [Int], inputs: [Int])?
            for output in outputMoves {
                for input in inputMoves {
                    let found = Self.cost(output, input)
                    if found < (best?.cost ?? cost) - 1e-9 { best = (found, output, input) }
                }
            }
            guard let best else { return }
            (cost, outputs, inputs) = best
        }
    }

    /// The modes themselves, and those with one prime factor in another core.
    private static func neighbours(of modes: [Int]) -> [[Int]] {
        var result = [modes]
        for source in modes.indices {
            for prime in Set(primeFactors(of: modes[source])).sorted() {
                for target in modes.indices where target != source {
                    var moved = modes
                    moved[source] /= prime
                    moved[target] *= prime
                    result.append(moved)
                }
            }
        }
        return result
    }

    /// Σ of squared deviations of the logarithms from their mean.
    private static func cost(_ outputs: [Int], _ inputs: [Int]) -> Double {
        let left = outputs.map { log(Double($0)) }
        let right = inputs.map { log(Double($0)) }
        // A core of one position is worse than any imbalance.
        let empty = zip(outputs, inputs).reduce(0.0) { $0 + ($1.0 * $1.1 == 1 ? 1e6 : 0) }
        return sizeWeight * spread(zip(left, right).map { $0 + $1 }) + spread(left) + spread(right) + empty
    }

    private static func spread(_ values: [Double]) -> Double {
        let mean = values.reduce(0, +) / Double(values.count)
        return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    }
}
