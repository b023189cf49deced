// The admin server serves the chart library beside the page's own files, as uplot.js.
import uPlot from 'uplot';

export default uPlot;
