import MatrixCore
import TensorTrainCompression

/// Slow and obvious versions of what the trains do.
enum Oracle {
    /// A matrix with a spectrum that falls like weights' do: noise over a few strong directions.
    static func weight(_ rows: Int, _ columns: Int, seed: UInt64 = 1) -> Matrix {
        let noise: Matrix = CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
        let left: Matrix = CounterRandom(seed: seed + 100).normalMatrix(rows: rows, columns: 3)
        let right: Matrix = CounterRandom(seed: seed + 200).normalMatrix(rows: 3, columns: columns)
        return Matrix(rows: rows, columns: columns) { i, j in
            (0..<3).reduce(0.3 * noise[i, j]) { $0 + left[i, $1] * right[$1, j] / Float(1 + $1) }
        }
    }

    /// The digits of an index, most significant first.
    static func digits(_ index: Int, _ modes: [Int]) -> [Int] {
        var rest = index
        var digits: [Int] = []
        for mode in modes.reversed() {
            digits.insert(rest % mode, at: 0)
            rest /= mode
        }
        return digits
    }

    /// Position of element (i, j) in the tensor (i₁ j₁ … i_d j_d).
    static func position(_ i: Int, _ j: Int, _ modes: TrainModes) -> Int {
        let rows = digits(i, modes.outputs)
        let columns = digits(j, modes.inputs)
        return (0..<modes.order).reduce(0) { position, core in
            (position * modes.outputs[core] + rows[core]) * modes.inputs[core] + columns[core]
        }
    }

    /// W'[i, j] as the product of small matrices that defines a train.
    static func element(_ train: TensorTrain, _ i: Int, _ j: Int) -> Double {
        let rows = digits(i, train.modes.outputs)
        let columns = digits(j, train.modes.inputs)
        var row = [1.0]
        for (core, numbers) in train.cores.enumerated() {
            let (m, n) = (train.modes.outputs[core], train.modes.inputs[core])
            row = (0..<numbers.columns).map { right in
                row.indices.reduce(0) {
                    $0 + row[$1] * Double(numbers[($1 * m + rows[core]) * n + columns[core], right])
                }
            }
        }
        return row[0]
    }

    /// The unfolding of the tensor at a bond (s₁…s_bond × the rest).
    static func unfolding(_ weight: Matrix, _ modes: TrainModes, bond: Int) -> Matrix {
        let rows = modes.sizes[..<bond].reduce(1, *)
        var result = Matrix(rows: rows, columns: weight.count / rows)
        for i in 0..<weight.rows {
            for j in 0..<weight.columns {
                let position = position(i, j, modes)
                result[position / result.columns, position % result.columns] = weight[i, j]
            }
        }
        return result
    }

    static func relativeDifference(_ left: Matrix, _ right: Matrix) -> Double {
        var error = 0.0
        var norm = 0.0
        for i in 0..<left.rows {
            for j in 0..<left.columns {
                let difference = Double(left[i, j]) - Double(right[i, j])
                error += difference * difference
                norm += Double(right[i, j]) * Double(right[i, j])
            }
        }
        return norm == 0 ? error.squareRoot() : (error / norm).squareRoot()
    }

    /// x · Wᵀ.
    static func product(_ x: Matrix, _ weight: Matrix) -> Matrix {
        Matrix(rows: x.rows, columns: weight.rows) { t, i in
            Float((0..<x.columns).reduce(0.0) { $0 + Double(x[t, $1]) * Double(weight[i, $1]) })
        }
    }

    /// A train of the given ranks with random cores.
    static func train(_ modes: TrainModes, ranks: [Int], seed: UInt64 = 3) -> TensorTrain {
        let all = [1] + ranks + [1]
        return TensorTrain(
            modes: modes,
            cores: modes.sizes.indices.map {
                CounterRandom(seed: seed, stream: UInt64($0)).normalMatrix(
                    rows: all[$0] * modes.sizes[$0], columns: all[$0 + 1])
            })
    }
}
