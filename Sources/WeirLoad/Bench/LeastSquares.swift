/// Linear least squares, by the normal equations.
enum LeastSquares {
    /// - Returns: `nil` where the columns depend on each other.
    static func solve(_ rows: [[Double]], _ values: [Double]) -> [Double]? {
        guard let count = rows.first?.count else { return nil }
        var matrix = Array(repeating: Array(repeating: 0.0, count: count), count: count)
        var right = Array(repeating: 0.0, count: count)
        for (row, value) in zip(rows, values) {
            for i in 0..<count where row[i] != 0 {
                right[i] += row[i] * value
                for j in 0..<count { matrix[i][j] += row[i] * row[j] }
            }
        }
        return eliminate(&matrix, &right)
    }

    /// Gauss's elimination with the largest pivot of the column.
    static func eliminate(_ matrix: inout [[Double]], _ right: inout [Double]) -> [Double]? {
        let count = right.count
        for column in 0..<count {
            guard
                let pivot = (column..<count).max(by: {
                    abs(matrix[$0][column]) < abs(matrix[$1][column])
                }), abs(matrix[pivot][column]) > 1e-12
            else { return nil }
            matrix.swapAt(column, pivot)
            right.swapAt(column, pivot)
            for row in 0..<count where row != column && matrix[row][column] != 0 {
                let factor = matrix[row][column] / matrix[column][column]
                for j in column..<count { matrix[row][j] -= factor * matrix[column][j] }
                right[row] -= factor * right[column]
            }
        }
        return (0..<count).map { right[$0] / matrix[$0][$0] }
    }

    /// Of a symmetric positive matrix: its inverse and its determinant.
    static func inverse(_ matrix: [[Double]]) -> (inverse: [[Double]], determinant: Double)? {
        let count = matrix.count
        var rows = matrix.enumerated().map { index, row in
            row + (0..<count).map { $0 == index ? 1 : 0 }
        }
        var determinant = 1.0
        for column in 0..<count {
            let pivot = rows[column][column]
            guard abs(pivot) > 1e-12 else { return nil }
            determinant *= pivot
            for place in 0..<(2 * count) { rows[column][place] /= pivot }
            for row in 0..<count where row != column && rows[row][column] != 0 {
                let factor = rows[row][column]
                for place in column..<(2 * count) {
                    rows[row][place] -= factor * rows[column][place]
                }
            }
        }
        return (rows.map { Array($0[count...]) }, determinant)
    }
}
